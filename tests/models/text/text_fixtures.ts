/**
 * The fixtures of the text side, which `tests/fixtures/text/make.py` has made.
 *
 * @module
 */

const folder = new URL("../../fixtures/text/", import.meta.url);
const bundled = new URL("../../../models/demo_t2i/", import.meta.url);

/** Content of the demo's `tokenizer.json`. */
export const demoTokenizer: Uint8Array<ArrayBuffer> = await Deno.readFile(
  new URL("text_tokenizer.json", bundled),
);

// deno-lint-ignore no-explicit-any
type Content = any;

/** A change of a `tokenizer.json`. */
export type Change = (content: Content) => Content;

/** The demo's tokenizer, changed. */
export function changedTokenizer(change: Change): Uint8Array<ArrayBuffer> {
  return encoded(change(JSON.parse(new TextDecoder().decode(demoTokenizer))));
}

function encoded(content: Content): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(content));
}

/** The map of characters of all tokenizers here, as base64. */
export function charsmapOfDemo(): string {
  return JSON.parse(new TextDecoder().decode(demoTokenizer)).normalizer.precompiled_charsmap;
}

/** Layouts of `tokenizer.json` in which ids are recorded. */
export const LAYOUTS = ["demo", "wordy", "recent"] as const;

/** A tokenizer in one of the layouts. */
export async function tokenizerIn(layout: typeof LAYOUTS[number]): Promise<Uint8Array<ArrayBuffer>> {
  if (layout === "demo") return demoTokenizer;
  const packed = await Deno.open(new URL("wordy.json.gz", folder));
  const content = await new Response(packed.readable.pipeThrough(new DecompressionStream("gzip"))).json();
  const [map, replace] = content.normalizer.normalizers;
  map.precompiled_charsmap = charsmapOfDemo();
  if (layout === "wordy") return encoded(content);
  const strip = { type: "Strip", strip_left: false, strip_right: true };
  content.normalizer.normalizers = [map, strip, { ...replace, content: "▁" }];
  content.pre_tokenizer = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
  return encoded(content);
}

/** A tokenizer laid out as those that are published with BERT and CLIP, changed if that is wanted. */
export async function tokenizerOf(
  kind: "bert" | "clip",
  change: Change = (content) => content,
): Promise<Uint8Array<ArrayBuffer>> {
  return encoded(change(JSON.parse(await Deno.readTextFile(new URL(`${kind}.json`, folder)))));
}

/** A prompt with its ids in each layout. */
export type RecordedPrompt = Readonly<Record<typeof LAYOUTS[number], readonly number[]>> & {
  readonly text: string;
};

/** The recorded prompts. */
export async function recordedPrompts(): Promise<RecordedPrompt[]> {
  const rows: (Omit<RecordedPrompt, "text"> & { text: string | [string, number] })[] = JSON.parse(
    await Deno.readTextFile(new URL("prompts.json", folder)),
  );
  return rows.map((row) => {
    const { text } = row;
    return { ...row, text: typeof text === "string" ? text : text[0].repeat(text[1]) };
  });
}

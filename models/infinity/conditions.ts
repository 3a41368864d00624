/**
 * What depends on texts alone, for the rows of a batch: first tokens, modulations, and the keys and values of
 * every block's cross-attention. Each text is evaluated by itself, without padding, so that a picture does
 * not depend on the texts beside it.
 *
 * @module
 */

import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import type { GraphSession } from "../graphs/graph_session.ts";
import type { InfinityTransformerConfig } from "./config.ts";

/** Features of a text that are known, and what tells them from others of a batch. */
export interface RowText {
  /** Equal for equal features. */
  readonly key: string;
  /** Features, f32 [length, textChannels]. */
  readonly features: Float32Array<ArrayBuffer>;
}

/**
 * Lengths to which the texts of a batch are padded: most prompts have fewer than 64 tokens. The same length
 * whatever stands beside a text means the same sums.
 */
const LENGTHS: readonly number[] = [16, 32, 64, 128, 256, 512];

/** Added to the scores of what is padding: their weights become 0. */
const MASKED = -1e9;

/** The conditions of a batch's rows. */
export interface RowConditions {
  /** Arrays by the names under which graphs are fed, and `mask` [rows, text]. */
  readonly arrays: Record<string, DeviceArray>;
  /** Length that all texts have been padded to. */
  readonly length: number;
}

/** Words of a row's conditions but for keys and values. */
const WORDS: Readonly<Record<string, number>> = { "first": 1, "modulation": 6, "modulation.head": 2 };

/**
 * Evaluates the texts of a batch's rows.
 *
 * @param device Where the arrays are.
 * @param session The graph `condition`.
 * @param rows The rows' texts.
 * @returns Arrays that belong to the caller.
 */
export async function evaluateTexts(
  device: Device,
  session: GraphSession,
  { rows, config }: { readonly rows: readonly RowText[]; readonly config: InfinityTransformerConfig },
): Promise<RowConditions> {
  const { width, textChannels } = config;
  const lengthOf = ({ features }: RowText): number => features.length / textChannels;
  const longest = Math.max(...rows.map(lengthOf));
  const length = LENGTHS.find((most) => most >= longest) ?? longest;
  using stack = new DisposableStack();
  const arrays: Record<string, DeviceArray> = {};
  for (const [key, texts] of Map.groupBy(rows.map((text, row) => ({ text, row })), ({ text }) => text.key)) {
    const { text } = texts[0]!;
    const own = lengthOf(text);
    using features = device.upload(text.features, `features of ${key.slice(0, 32)}`);
    const results = await session.run({ text: { array: features, shape: [own, textChannels] } });
    using evaluated = new DisposableStack();
    for (const [name, array] of Object.entries(results)) {
      evaluated.use(array);
      const words = WORDS[name];
      const stride = (words ?? length) * width;
      const all = arrays[name] ??= stack.use(device.allocate(rows.length * stride, name));
      for (const { row } of texts) {
        device.copy(array, all, { targetOffset: row * stride, length: (words ?? own) * width });
      }
    }
  }
  const mask = new Float32Array(rows.length * length);
  for (const [row, text] of rows.entries()) {
    mask.fill(MASKED, row * length + lengthOf(text), (row + 1) * length);
  }
  arrays.mask = stack.use(device.upload(mask, "mask of texts"));
  stack.move();
  return { arrays, length };
}

/**
 * One prompt, one picture, one file: what the released scripts of others do, under options of ours. No record
 * is written; what it means as `varscale generate`, which writes one, is said.
 *
 * @module
 */

import { extname } from "node:path";
import { generate, type GeneratedImage, type GenerateRequest, type Model } from "../../mod.ts";
import { type Io, say, UsageError } from "../io.ts";
import { COUNT_OPTIONS, GENERATE_OPTIONS } from "../options/generate_options.ts";
import { load } from "../options/model_options.ts";
import { OpenedSearch, requirePlaces } from "../options/open_search.ts";
import { parse } from "../options/parse.ts";
import { checkOutline, checkRequest } from "../options/requests.ts";
import { readFeatures } from "../options/text_features.ts";
import { printableLine } from "../output/printable.ts";
import { Progress } from "../output/progress.ts";
import { requireFolder, writeWhole } from "../output/whole_file.ts";
import { planOfOptions } from "./plan.ts";
import { pictureFile, Recipes } from "./recipe.ts";
import type { Variant } from "./run_record.ts";

/** A picture that is wanted. */
export interface WantedPicture {
  /** Arguments of `varscale generate`, the prompt apart. */
  readonly args: readonly string[];
  readonly prompt: string;
  /** Where it goes, as PNG whatever the ending. */
  readonly file: string;
  /** What a person should know of what was given. */
  readonly notes: readonly string[];
  /** Whether to say nothing on the way. */
  readonly quiet: boolean;
}

/**
 * Paints a picture.
 *
 * @throws {UsageError} If the arguments are wrong.
 */
export async function paintPicture(wanted: WantedPicture, io: Io): Promise<void> {
  const { args, prompt, quiet } = wanted;
  const file = pngFile(wanted.file);
  await requireFolder(folderOf(file));
  const { options: values } = parse({ ...COUNT_OPTIONS, ...GENERATE_OPTIONS }, args);
  if ((values.keep ?? 1) > 1) {
    throw new UsageError(
      `Option --keep must be left out, as one picture is written: current value is ${values.keep}`,
    );
  }
  const plan = planOfOptions(values, { prompts: [{ prompt, line: JSON.stringify({ prompt }) }] });
  const { textFeatures } = plan;
  const given = textFeatures === undefined ? {} : { textFeatures: await readFeatures(textFeatures) };
  const notice = (text: string): void => {
    if (!quiet) say(io, text);
  };
  for (const note of wanted.notes) notice(note);
  if (file !== wanted.file) notice(`pictures are PNG here: ${file} instead of ${wanted.file}`);
  notice(`this is: varscale generate ${[...args, "--", prompt].map(quoted).join(" ")}`);
  const [{ name, search: wantedSearch }] = plan.variants as [Variant];
  await requirePlaces(wantedSearch);
  await using model = await load(plan.place, values, io, (outline) => {
    checkOutline(outline, plan.request(outline));
  });
  const asked = { ...plan.request(model), ...given };
  await using search = await OpenedSearch.open(wantedSearch, model, { request: asked, options: values, io });
  const { hooks } = search;
  const request = { ...asked, hooks };
  const image = await makeImage(model, request, { quiet, io });
  const recipes = !plan.recipe ? undefined : await Recipes.of(model, {
    place: plan.place,
    request: checkRequest(model, request),
    variants: [{ name, hooks, own: search.own, judges: search.records }],
  });
  const { png } = await pictureFile(image, { recipes, variant: name, batch: [image] });
  await Deno.mkdir(folderOf(file), { recursive: true });
  await writeWhole(file, png);
  if (!quiet) io.out(`${printableLine(file)}: ${image.width}×${image.height}\n`);
}

/** The only picture of a request. */
async function makeImage(
  model: Model,
  request: GenerateRequest,
  { quiet, io }: { readonly quiet: boolean; readonly io: Io },
): Promise<GeneratedImage> {
  const progress = new Progress(io, { total: 1, quiet });
  let made: GeneratedImage | undefined;
  try {
    for await (const event of generate.stream(model, { ...request, signal: io.signal })) {
      if (event.type === "scale") progress.draw(`scale ${event.scale + 1}/${event.scales}`);
      if (event.type === "image") made = event.image;
    }
  } finally {
    progress.clear();
  }
  return made!;
}

/** The same file with the ending of what is written. */
function pngFile(path: string): string {
  return path.slice(0, path.length - extname(path).length) + ".png";
}

function folderOf(path: string): string {
  return /^(.*)[/\\]/s.exec(path)?.[1] || ".";
}

/** An argument as a shell takes it. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/**
 * `varscale download`: a model from the Hugging Face hub, for later.
 *
 * @module
 */

import { FAMILIES, hubModel, type HubPlace, suggestPlace } from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, UsageError } from "../io.ts";
import { flag, integer, text } from "../options/kinds.ts";
import { sayHubNotice, SIZE_OPTION, WITHOUT_OPTION } from "../options/model_options.ts";
import { type Arguments, refuseOperands, section } from "../options/options.ts";
import { hubPlace } from "../options/place.ts";
import { columns } from "../output/columns.ts";
import { formatJson } from "../output/format_json.ts";
import { Transfer } from "../output/transfer.ts";
import { list } from "../output/words.ts";

/** A repository that people know, and its transformers, of families that tell their models by depth. */
const EXAMPLES = FAMILIES.map(({ published }) => published)
  .filter(({ example, sizeOf }) => typeof sizeOf(example) === "number")
  .map(({ repository, example }) => ({ place: `hf:${repository}`, example }));

const OPTIONS = {
  ...section("Model", {
    depth: {
      kind: integer("N", 1),
      help: `Which of several models of the repository, by the number in a name like ${
        list([...new Set(EXAMPLES.map(({ example }) => example))], "or")
      }`,
      defaultText: "the only one",
    },
    modelSize: { ...SIZE_OPTION, help: "The same by the name of a size, like 2B" },
    without: WITHOUT_OPTION,
  }),
  ...section("Cache", {
    cache: {
      kind: text("DIR"),
      help: "Folder of the cache, which all Hugging Face programs share",
      defaultText: "as HF_HUB_CACHE and HF_HOME say, or ~/.cache/huggingface/hub",
    },
    json: {
      kind: flag,
      help: "Print one JSON object: place, and the paths of the folder or of the checkpoints",
    },
  }),
};

/** The command. */
export const download = command({
  usage: ["hf:OWNER/NAME[/FILE][@REVISION] [OPTIONS]"],
  description: [
    "What is in the cache already is not fetched again, a download that broke off goes on where it stopped, and a file " +
    "is found there only when it is whole and has the checksum that the hub promised, which is compared once, and again " +
    "when the file has changed. Other commands take the same place " +
    "as --model.",
    "The environment is read as by other Hugging Face programs: HF_HOME, HF_HUB_CACHE, HF_TOKEN for repositories that " +
    "want to know who asks, HF_ENDPOINT for another hub, HF_HUB_OFFLINE=1 for the cache alone.",
  ],
  options: OPTIONS,
  examples: [
    "hf:FoundationVision/var --depth 16",
    "hf:FoundationVision/var@main --depth 30 --json",
    "hf:jiaosiyu1999/FlexVAR --depth 24",
    "hf:nvidia/DirectDiscriminativeOptimization --depth 16",
    "hf:Zigeng/VAR_CoDe/drafter_8.pth",
    "hf:FoundationVision/Infinity --model-size 2B --without t5",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const [name] = operands;
  refuseOperands(operands, 1);
  if (name === undefined) throw new UsageError(`What to download is needed, like ${EXAMPLES[0]!.place}`);
  const { depth, modelSize } = options;
  if (depth !== undefined && modelSize !== undefined) {
    throw new UsageError("Options --depth and --model-size exclude each other");
  }
  const place = placeOf(name);
  sayHubNotice(place, io, { quiet: false });
  using transfer = new Transfer(io);
  const model = await hubModel(place, modelSize ?? depth, {
    cacheFolder: options.cache,
    onProgress: transfer.report,
    signal: io.signal,
    ...(options.without === undefined ? {} : { without: options.without }),
  });
  transfer[Symbol.dispose]();
  const paths: Record<string, string> = "folder" in model ? { folder: model.folder } : model.checkpoints;
  io.out(options.json ? `${formatJson({ place: name, ...paths })}\n` : columns(Object.entries(paths)));
}

function placeOf(name: string): HubPlace {
  const place = hubPlace(name);
  if (place !== undefined) return place;
  const meant = suggestPlace(name);
  throw new UsageError(
    `Cannot download ${name}: ${
      meant?.startsWith("hf:")
        ? `did you mean "${meant}"?`
        : `a repository is named like ${EXAMPLES[0]!.place}`
    }`,
  );
}

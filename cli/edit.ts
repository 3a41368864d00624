/**
 * `varscale edit`: a part of a picture generated anew. Apart from what is edited, it is `varscale generate`.
 *
 * @module
 */

import type { Box } from "../mod.ts";
import { command, type Io } from "./command.ts";
import { absolute, readPicture } from "./files.ts";
import { COUNT_OPTIONS, execute, GENERATE_OPTIONS, planOfOptions } from "./generate.ts";
import { type Arguments, flag, type Kind, section, text, texts, UsageError } from "./options.ts";
import { FIT_OPTION } from "./reconstruct.ts";

const box: Kind<Box> = {
  placeholder: "Y0,X0,Y1,X1",
  parse: (value) => {
    const edges = value.split(",").map((edge) =>
      /^(\d+\.?\d*|\.\d+)$/.test(edge.trim()) ? Number(edge) : NaN
    );
    const [y0, x0, y1, x1] = edges as unknown as Box;
    if (edges.length !== 4 || !edges.every((edge) => edge <= 1) || y0 >= y1 || x0 >= x1) {
      throw new RangeError(
        "must be top, left, bottom and right edge, each from 0 to 1, like 0.1,0.1,0.8,0.8",
      );
    }
    return [y0, x0, y1, x1];
  },
};

const OPTIONS = {
  ...section("What to edit", {
    labels: {
      kind: texts,
      help: "Classes of what is generated, by name or number; null fits it to its surroundings",
      aliases: ["label"],
      defaultText: "null",
    },
    box: { kind: box, help: "The region: a box, in parts of the picture" },
    mask: {
      kind: text("PNG"),
      help: "The region, instead of a box: what is white in this picture of the same size, or a square one",
    },
    outpaint: { kind: flag, help: "Keep the region and generate all around it" },
    fit: FIT_OPTION,
    ...COUNT_OPTIONS,
  }),
  ...GENERATE_OPTIONS,
};

/** The command. */
export const edit = command({
  name: "edit",
  summary: "Generate a part of a picture anew: in-painting, out-painting, another class",
  usage: ["IMAGE.png --box Y0,X0,Y1,X1 [OPTIONS]", "IMAGE.png --mask MASK.png [OPTIONS]"],
  description: [
    "What is kept are the picture's tokens, not its pixels: all of the result is painted by the model. source.png is the picture as the " +
    "model gets it, and region.png shows what is generated. The run can be repeated by generate --repeat.",
  ],
  options: OPTIONS,
  examples: [
    "torus.png --label 'blue cube' --box 0,0.5,1,1 --count 4",
    "photo.png --box 0.1,0.1,0.8,0.8 --cfg 3 --more-smooth --model var-d36",
    "photo.png --mask mask.png --outpaint --label 207 --scaling",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const [image, ...others] = operands;
  if (image === undefined) throw new UsageError("The picture to edit is missing: IMAGE.png");
  if (others.length > 0) throw new UsageError(`Unexpected argument "${others[0]}"`);
  const { mask } = options;
  if ((options.box === undefined) === (mask === undefined)) {
    throw new UsageError(
      mask === undefined ? "Option --box or --mask is needed" : "Options --box and --mask exclude each other",
    );
  }
  const mode = options.outpaint ? "outpaint" : "inpaint";
  const region = options.box === undefined ? { mask: await readPicture(mask!) } : { box: options.box };
  const { fit } = options;
  const plan = planOfOptions(options, {
    labels: options.labels ?? ["null"],
    edit: {
      given: {
        image: absolute(image),
        box: options.box ?? null,
        mask: mask === undefined ? null : absolute(mask),
        mode,
        fit,
      },
      request: { image: await readPicture(image), ...region, mode, fit },
    },
  });
  await execute(plan, options, io);
}

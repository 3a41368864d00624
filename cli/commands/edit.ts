/**
 * `varscale edit`: a part of a picture, or its finer scales, generated anew. Apart from what is edited, it is
 * `varscale generate`.
 *
 * @module
 */

import type { Box } from "../../mod.ts";
import { command } from "../command.ts";
import { execute } from "../generation/execute.ts";
import { planOfOptions } from "../generation/plan.ts";
import { type Io, UsageError } from "../io.ts";
import { FIT_OPTION } from "../options/fit_option.ts";
import { COUNT_OPTIONS, GENERATE_OPTIONS } from "../options/generate_options.ts";
import { readPicture } from "../options/given_files.ts";
import { choice, flag, type Kind, scales, text } from "../options/kinds.ts";
import { type Arguments, optionName, refuseOperands, section, type Values } from "../options/options.ts";
import { absolute } from "../options/place.ts";
import { list } from "../output/words.ts";

/** Names of a box's edges, or of a corner and its size, in any order; the library's order is Y first. */
const NAMED_BOXES: readonly { readonly names: readonly string[]; edges(values: readonly number[]): Box }[] = [
  { names: ["left", "top", "right", "bottom"], edges: ([x0, y0, x1, y1]) => [y0!, x0!, y1!, x1!] },
  {
    names: ["x", "y", "width", "height"],
    edges: ([x, y, width, height]) => [y!, x!, reach(y!, height!), reach(x!, width!)],
  },
];

/** The other edge, which a sum of decimals may miss by its rounding: 0.1 + 0.9 must be the border. */
function reach(edge: number, size: number): number {
  return Number((edge + size).toFixed(12));
}

const box: Kind<Box> = {
  placeholder: "Y0,X0,Y1,X1",
  parse: (value) => {
    const parts = value.split(",").map((part) => {
      const [, name = "", number] = /^(?:([a-z]+) *= *)?(\d+\.?\d*|\.\d+)$/.exec(part.trim()) ?? [];
      return { name, value: number === undefined ? NaN : Number(number) };
    });
    const valueOf = (name: string): number => parts.find((part) => part.name === name)?.value ?? NaN;
    const named = NAMED_BOXES.find(({ names }) => parts.some(({ name }) => names.includes(name)));
    const [y0, x0, y1, x1] = named === undefined
      ? parts.map(({ name, value }) => name === "" ? value : NaN) as unknown as Box
      : named.edges(named.names.map(valueOf));
    const edges = [y0, x0, y1, x1];
    if (parts.length !== 4 || !edges.every((edge) => edge <= 1) || y0 >= y1 || x0 >= x1) {
      throw new RangeError(
        "must be top, left, bottom and right edge, each from 0 to 1, like 0.1,0.1,0.8,0.8, or by name, like " +
          "x=0.1,y=0.1,width=0.7,height=0.7 or left=0.1,top=0.1,right=0.8,bottom=0.8",
      );
    }
    return [y0, x0, y1, x1];
  },
};

const OPTIONS = {
  ...section("What to edit", {
    labels: {
      kind: text("A,B,…"),
      help:
        "Classes of what is generated, by name or number, or a text for a model that takes texts; null fits it to its surroundings",
      aliases: ["label"],
      defaultText: "null",
    },
    box: {
      kind: box,
      help:
        "The region: a box, in parts of the picture; Y comes first, or say it by name: x=0.1,y=0.1,width=0.7,height=0.7 or left=0.1,top=0.1,right=0.8,bottom=0.8",
    },
    mask: {
      kind: text("FILE"),
      help: "The region, instead of a box: what is white in this picture of the same size, or a square one",
    },
    outpaint: { kind: flag, help: "Keep the region and generate all around it" },
    expand: {
      kind: flag,
      help:
        "Lay a picture smaller than the generated one in its middle, keep it there, and generate all around it",
    },
    keepScales: {
      kind: scales,
      help: "Keep the picture on these scales only, such as 0-9; without a region all of it",
    },
    refine: {
      kind: flag,
      help: "Keep all of the picture on the scales that are not larger than it, and generate the others",
    },
    oversampling: {
      kind: choice(["1", "2"]),
      help: "Encode the picture at this many times its size; 2 may suit models that were trained so",
      defaultText: "1",
    },
    fit: {
      ...FIT_OPTION,
      defaultText: "crop; cover for a picture of the finished size, or with --refine",
    },
    ...COUNT_OPTIONS,
  }),
  ...GENERATE_OPTIONS,
};

/** The command. */
export const edit = command({
  usage: [
    "IMAGE --box Y0,X0,Y1,X1 [OPTIONS]",
    "IMAGE --mask MASK [OPTIONS]",
    "IMAGE --expand --size WxH [OPTIONS]",
    "IMAGE --refine --size N [OPTIONS]",
    "IMAGE --keep-scales K,… [OPTIONS]",
  ],
  description: [
    "IMAGE and MASK are PNG, JPEG or WebP files. What is kept are the picture's tokens, not its pixels: all of the result is painted by the model. source.png is the picture as the " +
    "model gets it, and region.png shows what is generated, up to the last scale on which anything is kept. The run can be repeated by " +
    "generate --repeat.",
  ],
  options: OPTIONS,
  examples: [
    "torus.png --label 'blue cube' --box 0,0.5,1,1 --count 4",
    "photo.png --box 0.1,0.1,0.8,0.8 --cfg 3 --more-smooth --model var-d36",
    "photo.png --box x=0.5,y=0,width=0.5,height=1 --label 207",
    "photo.png --mask mask.png --outpaint --label 207 --scaling",
    "photo.png --expand --size 512x256 --label 980 --model hf:jiaosiyu1999/FlexVAR --depth 24",
    "small.png --refine --size 512 --label 88 --model hf:jiaosiyu1999/FlexVAR --depth 24",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const [image] = operands;
  if (image === undefined) throw new UsageError("The picture to edit is missing: IMAGE");
  refuseOperands(operands, 1);
  requireConsistent(options);
  const { box, mask, expand, refine, keepScales, oversampling, fit } = options;
  const common = {
    ...(box === undefined && mask === undefined
      ? {}
      : { mode: options.outpaint ? "outpaint" as const : "inpaint" as const }),
    ...(expand ? { expand } : {}),
    ...(fit === undefined ? {} : { fit }),
    ...(refine ? { refine } : {}),
    ...(keepScales === undefined ? {} : { scales: keepScales }),
    ...(oversampling === undefined ? {} : { oversampling: Number(oversampling) as 1 | 2 }),
  };
  const plan = planOfOptions(options, {
    listed: options.labels ?? "null",
    edit: {
      given: {
        image: absolute(image),
        box: box ?? null,
        mask: mask === undefined ? null : absolute(mask),
        ...common,
      },
      request: {
        image: await readPicture(image),
        ...(box === undefined ? {} : { box }),
        ...(mask === undefined ? {} : { mask: await readPicture(mask) }),
        ...common,
      },
    },
  });
  await execute(plan, options, io);
}

/**
 * Refuses options that say too little, or one thing and another.
 *
 * @throws {UsageError} If there are any.
 */
function requireConsistent(options: Values<typeof OPTIONS>): void {
  const has = (name: keyof typeof options): boolean => options[name] !== undefined && options[name] !== false;
  const exclude = (name: keyof typeof options, others: readonly (keyof typeof options)[]): void => {
    const other = others.find(has);
    if (!has(name) || other === undefined) return;
    throw new UsageError(`Options ${optionName(name)} and ${optionName(other)} exclude each other`);
  };
  exclude("box", ["mask"]);
  exclude("refine", ["box", "mask", "expand", "keepScales"]);
  exclude("expand", ["fit"]);
  const regions = ["box", "mask"] as const;
  const others = ["expand", "refine", "keepScales"] as const;
  if (options.outpaint && !regions.some(has)) {
    throw new UsageError(`Option --outpaint goes with ${list(regions.map(optionName), "or")}`);
  }
  if ([...regions, ...others].some(has)) return;
  throw new UsageError(
    `Option ${list(regions.map(optionName), "or")} is needed, or ${list(others.map(optionName), "or")}`,
  );
}

/**
 * The options of drawing tokens, of token maps and of batches, shared by the commands that generate. Where an
 * option is not given, the model decides; what the help says about that, and the options that only some
 * models have, come from the families.
 *
 * @module
 */

import {
  FAMILIES,
  type Family,
  type FamilyOption,
  type GenerateRequest,
  GUIDANCE_FORMULAS,
} from "../../mod.ts";
import { list } from "../output/words.ts";
import {
  bytes,
  choice,
  flag,
  integer,
  integerOrAuto,
  integerPerScale,
  type Kind,
  number,
  numberPerScale,
  pictureSize,
  sides,
  text,
  toggle,
} from "./kinds.ts";
import { type Option, type OptionTable, section, type Values } from "./options.ts";

/** A value of each family: once if it is the same for all, `1.5 for VAR, 2.5 for FlexVAR` otherwise. */
export function perFamily(value: (family: Family) => unknown): string {
  const values = FAMILIES.map((family) => String(value(family)));
  return new Set(values).size === 1
    ? values[0]!
    : values.map((item, i) => `${item} for ${FAMILIES[i]!.title}`).join(", ");
}

/** Names of the families of which something holds. */
function familiesWith(holds: (family: Family) => boolean): string {
  return list(FAMILIES.filter(holds).map(({ title }) => title), "and");
}

/** How tokens are drawn. */
const DRAWING = {
  cfg: {
    kind: numberPerScale("X", 0, 1e6),
    help:
      "Strength of guidance by the label, one number or one for each scale; without any, 0 for a ramp and 1 for a constant, it is twice as fast",
    defaultText: perFamily(({ defaults }) => defaults.cfg),
  },
  guidance: {
    kind: choice(GUIDANCE_FORMULAS),
    help:
      "How --cfg becomes t in conditional + t·(conditional - unconditional): ramp grows from 0 at the first scale to cfg, constant is cfg - 1 on all",
    defaultText: perFamily(({ defaults }) => defaults.guidance),
  },
  topK: {
    kind: integerPerScale("K", 0),
    help: "Draw from the K likeliest tokens, one number or one for each scale; 0 is off",
    defaultText: perFamily(({ defaults }) => defaults.topK),
  },
  topP: {
    kind: numberPerScale("P", 0, 1),
    help:
      "Draw from the likeliest tokens that make up this probability, one number or one for each scale; 0 is off",
    defaultText: perFamily(({ defaults }) => defaults.topP),
  },
  minP: {
    kind: numberPerScale("P", 0, 1),
    help:
      "Draw only from tokens with at least this share of the largest probability, one number or one for each scale; 0 is off",
    defaultText: perFamily(({ defaults }) => defaults.minP),
  },
  temperature: {
    kind: numberPerScale("X", 0, 1e6),
    help: "Divides the logits, one number or one for each scale; 0 always takes the likeliest token",
    aliases: ["tau"],
    defaultText: perFamily(({ defaults }) => defaults.temperature),
  },
  moreSmooth: { kind: flag, help: "Mix code vectors for smoother pictures; not for measuring" },
};

/** Which token maps, of a model that admits others than its own: options of all commands that paint. */
export const MAP_OPTIONS = {
  patchNumbers: {
    kind: sides,
    help: `Sides of the token maps, coarse to fine, such as 1,2,3,4,5,6,8,10,13,16; for ${
      familiesWith(({ flexible }) => flexible.includes("patchNumbers"))
    }`,
    aliases: ["infer-patch-nums"],
    defaultText: "the model's, or those that suit --size",
  },
  size: {
    kind: pictureSize,
    help: `Size of the pictures in pixels: of a square, or width and height; for ${
      familiesWith(({ flexible }) => flexible.includes("size"))
    }`,
    defaultText: "the model's, or that of the last token map",
  },
};

/** Do what the released code does. */
const PUBLISHED = {
  published: {
    kind: flag,
    help: [
      "Do what the model's released code does where varscale does something else",
      ...FAMILIES.flatMap(({ title, publishedHelp }) =>
        publishedHelp === undefined ? [] : [`${title}: ${publishedHelp}`]
      ),
    ].join(". "),
  },
};

/** Options that only some families have, by name. */
const FAMILY_OPTIONS: OptionTable = Object.fromEntries(
  [...new Set(FAMILIES.flatMap(({ options }) => Object.keys(options)))].map((name) => {
    const owners = FAMILIES.filter(({ options }) => Object.hasOwn(options, name));
    const first = owners[0]!.options[name]!;
    const help = owners.map(({ title, options }) => `${options[name]!.help}; for ${title}`).join(". ");
    return [
      name,
      {
        kind: kindOf(first),
        help,
        ...(first.defaultText === undefined ? {} : { defaultText: first.defaultText }),
      } satisfies Option<unknown>,
    ];
  }),
);

/** How an option of a family is written. */
function kindOf({ kind, min = -(2 ** 31), max = 2 ** 31 - 1 }: FamilyOption): Kind<unknown> {
  switch (kind) {
    case "boolean":
      return toggle;
    case "integer":
      return integer("N", min, max);
    case "number":
      return number("X", min, max);
    case "text":
      return text("TEXT");
  }
}

/** How tokens are drawn, and which maps of them. */
export const SAMPLING_OPTIONS = section("Sampling", {
  ...DRAWING,
  ...MAP_OPTIONS,
  ...PUBLISHED,
  ...FAMILY_OPTIONS,
});

/** How many images run together. */
export const BATCH_OPTIONS = section("Sampling", {
  batch: {
    kind: integerOrAuto("N", 1),
    short: "b",
    help: "Images that run together; auto takes as many as fit into --memory",
    aliases: ["batch-size"],
    defaultText: "8 or what fits, or auto if --memory is given",
  },
  memory: { kind: bytes, help: "Memory for the weights and one batch, like 8GB" },
});

/**
 * The part of a request that the options of a sampling section make; what they do not say is left to the
 * model.
 */
export function samplingRequest(values: Values<typeof SAMPLING_OPTIONS>): GenerateRequest {
  const { published, moreSmooth = false } = values;
  const familyOptions = given(values, Object.keys(FAMILY_OPTIONS));
  return {
    ...given(values, Object.keys(DRAWING)),
    ...given(values, Object.keys(MAP_OPTIONS)),
    moreSmooth,
    ...(published ? { published } : {}),
    ...(Object.keys(familyOptions).length === 0 ? {} : { familyOptions }),
  };
}

/** What of these options was given. */
function given(values: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).filter(([name, value]) => {
      return value !== undefined && names.includes(name);
    }),
  );
}

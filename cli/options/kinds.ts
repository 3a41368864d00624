/**
 * Kinds of values that options have: how each is shown in a help text, and read from the text of an argument.
 *
 * @module
 */

import type { PerScale, PictureSize } from "../../mod.ts";
import { list } from "../output/words.ts";

/** Numbers that images may have. */
const MAX_IMAGES = 2 ** 24;

/** What an option's value is: how it is shown in the help and read from the command line. */
export interface Kind<Value> {
  /** Stands for the value in the help; without it the option is a switch. */
  readonly placeholder?: string;
  /** Whether `--no-NAME` turns a switch off. */
  readonly negatable?: boolean;
  /** Allowed words, for a hint to the one that was meant. */
  readonly choices?: readonly string[];
  /** Whether a dash alone is a value, as for files that may be standard input. */
  readonly dash?: boolean;
  /** Reads the text of a value. Throws a `RangeError` with what is wanted otherwise. */
  parse(text: string): Value;
}

/** A switch, off unless given. */
export const flag: Kind<boolean> = { parse: () => true };

/** A switch with `--no-`. */
export const toggle: Kind<boolean> = { negatable: true, parse: () => true };

/** Any text but the empty one. */
export function text(placeholder: string): Kind<string> {
  return {
    placeholder,
    parse: (value) => {
      if (value === "") throw new RangeError("must not be empty");
      return value;
    },
  };
}

/** A file to read, or `-` for standard input. */
export const inputFile: Kind<string> = { ...text("FILE|-"), dash: true };

/** One of a few words. */
export function choice<const Choices extends readonly string[]>(choices: Choices): Kind<Choices[number]> {
  return {
    placeholder: choices.join("|"),
    choices,
    parse: (value) => {
      if (!choices.includes(value)) throw new RangeError(`must be ${list(choices, "or")}`);
      return value as Choices[number];
    },
  };
}

/** A number within bounds, both included. */
export function number(placeholder: string, min: number, max: number): Kind<number> {
  return {
    placeholder,
    parse: (value) => {
      const parsed = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : NaN;
      if (!(parsed >= min && parsed <= max)) throw new RangeError(`must be a number from ${min} to ${max}`);
      return parsed;
    },
  };
}

/** A number within bounds, or one for each scale, separated by commas. */
export function numberPerScale(placeholder: string, min: number, max: number): Kind<PerScale> {
  return perScale(number(placeholder, min, max), `numbers from ${min} to ${max}`);
}

/** An integer of at least `min`, or one for each scale. */
export function integerPerScale(placeholder: string, min: number): Kind<PerScale> {
  return perScale(integer(placeholder, min), `integers of at least ${min}`);
}

function perScale({ placeholder, parse }: Kind<number>, wanted: string): Kind<PerScale> {
  return {
    placeholder: `${placeholder}|${placeholder},…`,
    parse: (value) => {
      const items = value.split(",");
      if (items.length === 1) return parse(value);
      try {
        return items.map((item) => parse(item.trim()));
      } catch {
        throw new RangeError(`must be ${wanted}, one for each scale, separated by commas`);
      }
    },
  };
}

/** An integer of at least `min`. */
export function integer(placeholder: string, min: number, max: number = 2 ** 31 - 1): Kind<number> {
  return {
    placeholder,
    parse: (value) => {
      const parsed = /^[+-]?\d+$/.test(value) ? Number(value) : NaN;
      if (!(parsed >= min && parsed <= max)) {
        throw new RangeError(
          max === 2 ** 31 - 1
            ? `must be an integer of at least ${min}`
            : `must be an integer from ${min} to ${max}`,
        );
      }
      return parsed;
    },
  };
}

/** An integer of at least `min`, or `auto`. */
export function integerOrAuto(placeholder: string, min: number): Kind<number | "auto"> {
  const { parse } = integer(placeholder, min);
  return { placeholder: `${placeholder}|auto`, parse: (value) => value === "auto" ? value : parse(value) };
}

/** An amount of memory in bytes, written as people do: `8GB`, `512 MiB`. */
export const bytes: Kind<number> = {
  placeholder: "SIZE",
  parse: (value) => {
    const [, amount, prefix, binary] = /^(\d+\.?\d*|\.\d+) ?(?:([kmgt])(i)?)?b?$/i.exec(value) ?? [];
    const power = prefix === undefined ? 0 : "kmgt".indexOf(prefix.toLowerCase()) + 1;
    const parsed = Math.floor(Number(amount) * (binary === undefined ? 1000 : 1024) ** power);
    if (!(parsed >= 1)) throw new RangeError('must be an amount of memory, like "8GB" or "512MiB"');
    return parsed;
  },
};

/** A seed: an integer of 64 bits. */
export const seed: Kind<number | bigint> = {
  placeholder: "N",
  parse: (value) => {
    const parsed = /^\d+$/.test(value) ? BigInt(value) : -1n;
    if (parsed < 0n || parsed >= 2n ** 64n) throw new RangeError("must be an integer from 0 to 2^64 - 1");
    return parsed <= Number.MAX_SAFE_INTEGER ? Number(parsed) : parsed;
  },
};

/** Scales and ranges of them, separated by commas; negative ones count from the end. */
export const scales: Kind<readonly number[]> = {
  placeholder: "K,…",
  parse: (value) => {
    const ranges = value.split(",").map((item) => {
      const [, first, last = first] = /^(-?\d{1,3})(?:-(-?\d{1,3}))?$/.exec(item) ?? [];
      return { first: Number(first), last: Number(last) };
    });
    // How many lie between a scale from the start and one from the end, only a model knows.
    if (!ranges.every(({ first, last }) => first <= last && first < 0 === last < 0)) {
      throw new RangeError(
        'must be numbers of scales from 0 on, or from -1 back from the last, separated by commas, like "1", "1,2" or "-1", or ranges like "0-9" or "-3--1"',
      );
    }
    const numbers = ranges.flatMap(({ first, last }) => {
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
    return [...new Set(numbers)];
  },
};

/** Numbers of images and ranges of them, separated by commas; one may be given again. */
export const imageNumbers: Kind<readonly number[]> = {
  placeholder: "N,…",
  parse: (value) => {
    const ranges = value.split(",").map((item) => {
      const [, first, last = first] = /^(\d{1,8})(?:-(\d{1,8}))?$/.exec(item.trim()) ?? [];
      return { first: Number(first), last: Number(last) };
    });
    if (!ranges.every(({ first, last }) => first <= last && last < MAX_IMAGES)) {
      throw new RangeError(
        `must be numbers of images from 0 to ${
          MAX_IMAGES - 1
        }, separated by commas, like "5" or "5,9", or ranges like "0-9"`,
      );
    }
    return ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
  },
};

/** Sides of token maps, separated by commas, or by underscores as in published scripts. */
export const sides: Kind<readonly number[]> = {
  placeholder: "N,…",
  parse: (value) => {
    if (!/^[1-9]\d{0,3}([,_][1-9]\d{0,3})*$/.test(value)) {
      throw new RangeError('must be sides of token maps, separated by commas, like "1,2,3,4"');
    }
    return value.split(/[,_]/).map(Number);
  },
};

/** A size in pixels: one number for a square, or width and height. */
export const pictureSize: Kind<number | PictureSize> = {
  placeholder: "N|WxH",
  parse: (value) => {
    const [, width, height] = /^([1-9]\d{0,4})(?:[x×]([1-9]\d{0,4}))?$/i.exec(value) ?? [];
    if (width === undefined) {
      throw new RangeError('must be a size in pixels, like "512", or width and height, like "512x256"');
    }
    return height === undefined ? Number(width) : { width: Number(width), height: Number(height) };
  },
};

/** Scales, or `all` of them. */
export const scalesOrAll: Kind<readonly number[] | true> = {
  placeholder: "K,…|all",
  parse: (value) => value === "all" || scales.parse(value),
};

/** Texts, separated by commas. */
export const texts: Kind<readonly string[]> = {
  placeholder: "A,B,…",
  parse: (value) => {
    const items = value.split(",").map((item) => item.trim());
    if (items.includes("")) throw new RangeError("must be texts separated by commas, none of them empty");
    return items;
  },
};

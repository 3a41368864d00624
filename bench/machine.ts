/**
 * The machine that something was measured on, with what a figure depends on: the processor, which of the
 * instructions it has that matrix products are made of, and how many threads there are.
 *
 * @module
 */

/** A machine. */
export interface Machine {
  /** The processor's own name, or where the system does not tell, its architecture. */
  readonly cpu: string;
  /** What it has of {@linkcode INSTRUCTIONS}; `null` where the system does not tell. */
  readonly instructions: readonly string[] | null;
  /** Threads that run at once. */
  readonly cores: number;
  /** The operating system and its release. */
  readonly os: string;
}

/**
 * Sets of instructions by which products differ, by the names that Linux has for them: vectors of 128 bits
 * are everywhere, and WebAssembly has no others.
 */
export const INSTRUCTIONS = {
  avx2: "AVX2",
  fma: "FMA",
  avx512f: "AVX-512",
  avx_vnni: "AVX-VNNI",
  avx512_vnni: "AVX-512 VNNI",
  avx512_bf16: "AVX-512 BF16",
  amx_int8: "AMX INT8",
  amx_bf16: "AMX BF16",
  asimddp: "dot products",
  i8mm: "I8MM",
  bf16: "BF16",
  sve: "SVE",
} as const;

/** This machine. */
export async function thisMachine(): Promise<Machine> {
  const text = Deno.build.os === "linux" ? await Deno.readTextFile("/proc/cpuinfo") : undefined;
  return {
    ...processorOf(text),
    cores: navigator.hardwareConcurrency,
    os: `${Deno.build.os} ${Deno.osRelease()}`,
  };
}

/**
 * Reads what Linux tells of a processor.
 *
 * @param text Content of `/proc/cpuinfo`; without it only the architecture is known.
 */
export function processorOf(text: string | undefined): Pick<Machine, "cpu" | "instructions"> {
  const field = (names: string): string | undefined => {
    return text?.match(new RegExp(`^(?:${names})\\s*:\\s*(.+)$`, "m"))?.[1]?.trim();
  };
  const flags = field("flags|Features")?.split(" ");
  const vendor = field("vendor_id");
  const name = field("model name")?.replaceAll(/\((R|TM)\)/g, "").replaceAll(/\s+/g, " ");
  // Some hosts hide the name, and then family and model still tell the generation.
  const numbers = [["family", "cpu family"], ["model", "model"]].flatMap(([word, key]) => {
    const value = field(key!);
    return value === undefined ? [] : [`${word} ${value}`];
  });
  const known = name ?? vendor ?? Deno.build.arch;
  return {
    cpu: numbers.length === 0 ? known : `${known} (${numbers.join(", ")})`,
    instructions: flags === undefined
      ? null
      : Object.entries(INSTRUCTIONS).flatMap(([flag, title]) => flags.includes(flag) ? [title] : []),
  };
}

/** A machine in a line. */
export function formatMachine({ cpu, instructions, cores, os }: Machine): string {
  const sets = instructions === null
    ? "instruction sets unknown"
    : instructions.join(", ") || "no wide vectors";
  return `${cpu}; ${sets}; ${cores} ${cores === 1 ? "core" : "cores"}; ${os}`;
}

/**
 * How long a model takes on machines of all kinds: a line of JSON for each run, `machines.jsonl`, and the
 * table made of it, `docs/machines.md`. What is measured is left to `model_report.ts` and
 * `infinity_report.ts`, whose `--json` adds a line.
 *
 * @module
 */

import { percentile } from "../kernels/profile/profile.ts";
import { formatMachine, type Machine } from "./machine.ts";
import type { ModelRecord, ModelRow } from "./model_ways.ts";
import { table } from "./tables.ts";

/** Where the lines are. */
export const MACHINES_FILE = new URL("machines.jsonl", import.meta.url);
/** Where the table is. */
export const MACHINES_PAGE = new URL("../docs/machines.md", import.meta.url);

/** What one way of running took. */
export interface MachineRow {
  /** Type of the weights and who computed: `"f32 on native"`. */
  readonly way: string;
  /** Seconds for each image. */
  readonly seconds: number;
  /** By PyTorch's in turns with it: the median over turns, if there were any. */
  readonly ratio?: number;
  /** Bytes of memory at most, if the system tells. */
  readonly peak?: number;
}

/** A run. */
export interface MachineRecord {
  /** The day, like `"2026-11-29"`. */
  readonly date: string;
  /** The commit, followed by `+` if files had been changed since, or `null` without git. */
  readonly commit: string | null;
  /** The machine. */
  readonly machine: Machine;
  /** Version of Deno. */
  readonly deno: string;
  /** The model and the size of its picture. */
  readonly model: string;
  /** Images at a time. */
  readonly batch: number;
  /** Batches of which medians are taken. */
  readonly rounds: number;
  /** Threads on the CPU. */
  readonly threads: number;
  /** PyTorch's version and its seconds for each image, if it took part. */
  readonly peer?: { readonly name: string; readonly seconds: number };
  /** The ways in which the model was run. */
  readonly rows: readonly MachineRow[];
}

/** What the table tells of a record; `undefined` if nothing could be run. */
export function machineRecord(record: ModelRecord): MachineRecord | undefined {
  const { date, commit, machine, deno, model, options: { batch, rounds, threads }, peer } = record;
  if (model === undefined) return undefined;
  const secondsOf = (turns: NonNullable<ModelRow["rounds"]>): number => {
    return percentile(turns.map(({ total }) => total), 0.5) / 1000 / batch;
  };
  const rows = record.rows.flatMap(({ dtype, place, rounds: turns, peer: other, peak }): MachineRow[] => {
    if (turns === undefined) return [];
    const ratios = turns.map(({ total }, i) => total / (other?.[i]?.total ?? NaN));
    return [{
      way: `${dtype} on ${place}`,
      seconds: secondsOf(turns),
      ...(other?.length ? { ratio: percentile(ratios, 0.5) } : {}),
      ...(peak ? { peak } : {}),
    }];
  });
  if (rows.length === 0) return undefined;
  const { width, height } = model.scales.at(-1)!.picture;
  return {
    ...{ date: date.slice(0, 10), commit, machine, deno },
    ...{ model: `${model.name} at ${width}×${height}`, batch, rounds, threads },
    ...(peer?.rounds?.length ? { peer: { name: peer.load!.name, seconds: secondsOf(peer.rounds) } } : {}),
    rows,
  };
}

/** Reads the lines. */
export async function readMachines(file: URL | string = MACHINES_FILE): Promise<MachineRecord[]> {
  const lines = (await Deno.readTextFile(file)).split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => JSON.parse(line) as MachineRecord);
}

/** Adds a line, and makes the table anew. */
export async function addMachine(
  record: MachineRecord,
  places: { readonly file: URL | string; readonly page: URL | string } = {
    file: MACHINES_FILE,
    page: MACHINES_PAGE,
  },
): Promise<void> {
  await Deno.writeTextFile(places.file, `${JSON.stringify(record)}\n`, { append: true });
  await Deno.writeTextFile(places.page, machinesPage(await readMachines(places.file)));
}

const OPENING = `# Machines

How long a picture takes, in seconds with guidance, and beside PyTorch on the same threads in turns. Compare
within a machine: a ratio that holds on one may not hold on the next, as what a processor can multiply at once
differs. WebAssembly has vectors of 128 bits everywhere; ONNX Runtime's library and PyTorch take the widest.

This page is made from \`bench/machines.jsonl\`, to which \`deno task bench:model --json\` adds a line for the
machine at hand; with \`--pytorch=python3\` beside PyTorch. Lines for other machines are welcome.
`;

/** The page: a section for each machine, with its runs. */
export function machinesPage(records: readonly MachineRecord[]): string {
  const sections = [...Map.groupBy(records, ({ machine }) => formatMachine(machine))];
  const parts = sections.map(([title, runs]) => {
    const rows = runs.flatMap((run) => {
      const { model, batch, threads, rounds, date, commit, peer } = run;
      const what = [model, ...(batch === 1 ? [] : [`${batch} at a time`])].join(", ");
      const how = `${date}, ${commit ?? "no commit"}, ${threads} ${threads === 1 ? "thread" : "threads"}, ` +
        `${rounds} ${rounds === 1 ? "turn" : "turns"}`;
      const beside = peer === undefined ? [] : [[what, peer.name, digits(peer.seconds), "", "", how]];
      const own = run.rows.map(({ way, seconds, ratio, peak }) => [
        ...[what, way, digits(seconds), ratio === undefined ? "" : `${ratio.toFixed(2)}×`],
        ...[peak === undefined ? "" : (peak / 1e9).toFixed(2), how],
      ]);
      return [...beside, ...own];
    });
    const heads = ["model", "way", "s per image", "/ PyTorch", "GB at most", "measured"];
    return `## ${title}\n\n${table(heads, rows)}\n`;
  });
  return [OPENING, ...parts].join("\n");
}

function digits(value: number): string {
  return String(Number(value.toPrecision(3)));
}

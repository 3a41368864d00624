/**
 * `varscale inspect`: what a checkpoint or a model folder holds, and whether it is whole.
 *
 * @module
 */

import {
  BUNDLED_MODELS,
  type Checkpoint,
  type CheckpointDescription,
  describeCheckpoint,
  describeGraph,
  describeWeights,
  type Fact,
  FAMILIES,
  type FolderTuning,
  type GraphDescription,
  type GraphValue,
  type ModelFolder,
  openCheckpoint,
  openModelFolder,
  type StoredWeight,
  suggestPlace,
  systemReason,
} from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, UsageError } from "../io.ts";
import { flag } from "../options/kinds.ts";
import { type Arguments, refuseOperands, section } from "../options/options.ts";
import { JSON_OPTION } from "../options/output_options.ts";
import { isUrl } from "../options/place.ts";
import { columns } from "../output/columns.ts";
import { formatJson } from "../output/format_json.ts";
import { printableLine } from "../output/printable.ts";
import { textWidth } from "../output/text_width.ts";
import { size } from "../output/units.ts";
import { plural } from "../output/words.ts";

const OPTIONS = section("Output", {
  tensors: { kind: flag, help: "List every tensor" },
  classes: { kind: flag, help: "List the classes by number and name, and nothing else" },
  json: JSON_OPTION,
});

/** The command. */
export const inspect = command({
  usage: ["PLACE [OPTIONS]"],
  description: [
    'PLACE is a checkpoint (.pth, .safetensors, the index of several, or the folder of either) or a model folder, as a path or URL, or "demo" or "demo-t2i" for a bundled model. ' +
    "Of a checkpoint only the list of tensors is read; of a folder every file, piece by piece, and its SHA-256 is checked. " +
    "If a file of a folder is damaged or missing, the exit code is 1.",
  ],
  options: OPTIONS,
  examples: [
    "demo-t2i",
    "demo --classes",
    "var_d16.pth --tensors",
    "https://example.org/models/var-d16 --json",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<number> {
  const { tensors = false, classes = false, json = false } = options;
  const [place] = operands;
  if (place === undefined) throw new UsageError("PLACE is needed: a checkpoint, a model folder, or demo");
  refuseOperands(operands, 1);
  if (await isCheckpoint(place)) {
    using checkpoint = await openCheckpoint(place, { signal: io.signal });
    if (classes) {
      io.out(showClasses(place, (await describeCheckpoint(checkpoint)).classNames, json));
      return 0;
    }
    const content = await describeCheckpoint(checkpoint);
    const report = checkpointReport(checkpoint, content);
    io.out(json ? `${formatJson(report)}\n` : showCheckpoint(report, content, tensors));
    return 0;
  }
  const folder = await openModelFolder(bundled(place) ?? place, { signal: io.signal });
  if (classes) {
    io.out(showClasses(place, folder.manifest.classNames, json));
    return 0;
  }
  const report = await folderReport(folder, { signal: io.signal, tensors: tensors || json });
  io.out(json ? `${formatJson(report)}\n` : showFolder(report, tensors));
  return report.files.every(({ problem }) => problem === null) ? 0 : 1;
}

/** Where a bundled model lies, if the place names one. */
function bundled(place: string): URL | undefined {
  return Object.hasOwn(BUNDLED_MODELS, place) ? BUNDLED_MODELS[place] : undefined;
}

/** Names of checkpoints. */
const CHECKPOINT = /\.(pth?|ckpt|bin|safetensors|index\.json)$/i;

function showClasses(place: string, names: readonly string[], json: boolean): string {
  if (names.length === 0) throw new Error(`Cannot list the classes of ${place}: they have no names`);
  return json ? `${formatJson(names)}\n` : columns(names.map((name, i) => [String(i), name] as const));
}

/**
 * Files are checkpoints, and so are folders with one and without a description; on a web server only the name
 * can tell.
 */
async function isCheckpoint(place: string): Promise<boolean> {
  if (bundled(place) !== undefined) return false;
  if (/^https?:/i.test(place)) {
    return CHECKPOINT.test(new URL(place).pathname);
  }
  try {
    const folder = isUrl(place) ? new URL(place) : place;
    if ((await Deno.stat(folder)).isFile) return true;
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    return !names.includes("model.json") && names.some((name) => CHECKPOINT.test(name));
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const meant = suggestPlace(place);
    const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
    const reason = error instanceof Deno.errors.NotFound
      ? `no such file or folder${hint}`
      : systemReason(error);
    throw new UsageError(`Cannot inspect ${place}: ${reason}`);
  }
}

interface CheckpointReport {
  readonly kind: "checkpoint";
  readonly place: string;
  readonly format: string;
  readonly family: string | null;
  /** The parts of a model that it holds. */
  readonly parts: readonly string[];
  /** Why it is none of the family that it looks like. */
  readonly problem: string | null;
  /** The sizes of these parts. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly elements: number;
  readonly bytes: number;
  readonly metadata: Checkpoint["metadata"];
  readonly tensors: readonly StoredWeight[];
}

function checkpointReport(
  checkpoint: Checkpoint,
  { family, parts, config, problem }: CheckpointDescription,
): CheckpointReport {
  const tensors = describeWeights(checkpoint);
  return {
    kind: "checkpoint",
    place: checkpoint.file,
    format: checkpoint.format,
    family: family?.name ?? null,
    parts: parts.map(({ name }) => name),
    problem: problem ?? null,
    config,
    elements: tensors.reduce((sum, { shape }) => sum + elements(shape), 0),
    bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    metadata: checkpoint.metadata,
    tensors,
  };
}

function showCheckpoint(
  report: CheckpointReport,
  { family, facts }: CheckpointDescription,
  tensors: boolean,
): string {
  const metadata = Object.entries(report.metadata);
  const shown = tensors ? metadata : metadata.slice(0, 8);
  return columns([
    ["checkpoint", report.place],
    ["format", report.format],
    ["tensors", showSum(report.tensors)],
    ["family", family?.title ?? "not recognised"],
    ...(report.problem === null ? [] : [["", report.problem] as Fact]),
    ...facts,
    ...shown.map(([key, value]): Fact => [key, String(value)]),
    ...(shown.length < metadata.length
      ? [["", `and ${metadata.length - shown.length} more; --tensors shows all`] as Fact]
      : []),
  ]) + (tensors ? `\n${showTensors(report.tensors)}` : "");
}

interface FileReport {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  /** What is wrong with it. */
  readonly problem: string | null;
  readonly graph?: GraphDescription;
  readonly tensors?: readonly StoredWeight[];
}

interface FolderReport {
  readonly kind: "folder";
  readonly place: string;
  readonly manifest: Omit<ModelFolder["manifest"], "files">;
  readonly files: readonly FileReport[];
}

async function folderReport(
  folder: ModelFolder,
  options: { signal: AbortSignal; tensors: boolean },
): Promise<FolderReport> {
  const { files, ...manifest } = folder.manifest;
  const reports: FileReport[] = [];
  for (const [file, { bytes, sha256 }] of Object.entries(files)) {
    options.signal.throwIfAborted();
    const facts = { file, bytes, sha256 };
    try {
      reports.push({ ...facts, problem: null, ...await contentOf(folder, file, options) });
    } catch (error) {
      options.signal.throwIfAborted();
      reports.push({ ...facts, problem: (error as Error).message });
    }
  }
  return { kind: "folder", place: folder.location, manifest, files: reports };
}

async function contentOf(
  folder: ModelFolder,
  file: string,
  { tensors }: { tensors: boolean },
): Promise<Pick<FileReport, "graph" | "tensors">> {
  // This is what checks it.
  using source = await folder.open(file);
  if (file.endsWith(".onnx")) return { graph: describeGraph(await source.read(0, source.size)) };
  if (!tensors || !file.endsWith(".safetensors")) return {};
  using checkpoint = await openCheckpoint(source);
  return { tensors: describeWeights(checkpoint) };
}

function showFolder({ place, manifest, files }: FolderReport, tensors: boolean): string {
  const { name, family, dtype, config, classNames, tuning } = manifest;
  const known = FAMILIES.find(({ name }) => name === family);
  const rows: Fact[] = [
    ["model", name],
    ["folder", place],
    ["family", known?.title ?? family],
    ["weights", [dtype, ...showParts(files)].join(", ")],
    ...known?.describe(known.requireConfig(config, `${place}/model.json`)) ?? [],
  ];
  if (files.some(({ file }) => file === "verifier.json")) {
    rows.push(["verifier", "its own, which judges in searches unless another is named"]);
  }
  if (classNames.length > 0) rows.push(["class names", `${classNames.slice(0, 3).join(", ")}, …`]);
  const { evidence, ...tuned } = tuning ?? {};
  for (const [key, value] of Object.entries(tuned)) rows.push([`tuned ${key}`, String(value)]);
  if (evidence !== undefined) rows.push(["tuned by", showEvidence(evidence)]);
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const damaged = files.filter(({ problem }) => problem !== null).length;
  rows.push([
    "files",
    `${files.length}, ${size(total)}, ${
      damaged === 0 ? "all with the right SHA-256" : `${damaged} of them damaged or missing`
    }`,
  ]);
  const details = files.map((file) => showFile(file, tensors));
  return `${columns(rows)}\n${details.join("\n")}`;
}

/** Who judged when settings were tuned, when, and whether it helped, as far as that is written down. */
function showEvidence({ verifier, date, better, misled }: NonNullable<FolderTuning["evidence"]>): string {
  const name: unknown = typeof verifier === "object" && verifier !== null && Reflect.get(verifier, "name");
  const who = [name, date].filter((fact) => typeof fact === "string").join(", ") ||
    "somebody who left no name";
  if (better === false) return `${who}; not better on held-out seeds than what was there before`;
  return misled === true ? `${who}; a second judge finds them worse` : who;
}

/** How much the weights of each part are: `transformer 4.7 GiB in 5 files`. */
function showParts(files: readonly FileReport[]): string[] {
  const weights = files.filter(({ file }) => file.endsWith(".safetensors"));
  const parts = Object.groupBy(weights, ({ file }) => file.replace(/(-\d{5}-of-\d{5})?\.safetensors$/, ""));
  return Object.entries(parts).map(([part, group = []]) => {
    return `${part} ${size(group.reduce((sum, { bytes }) => sum + bytes, 0))} in ${
      plural(group.length, "file")
    }`;
  });
}

function showFile({ file, bytes, problem, graph, tensors }: FileReport, all: boolean): string {
  const head = `${file}  ${size(bytes)}\n`;
  if (problem !== null) return `${head}  ✗ ${printableLine(problem)}\n`;
  if (graph !== undefined) {
    const operators = Object.entries(graph.operators).map(([name, count]) => `${name} ×${count}`);
    return head + columns([
      ...graph.inputs.map((value, i) => [i === 0 ? "inputs" : "", showValue(value)] as const),
      ...graph.outputs.map((value, i) => [i === 0 ? "outputs" : "", showValue(value)] as const),
      ...wrapList(operators, 80).map((line, i) => [i === 0 ? "operators" : "", line] as const),
    ], "  ");
  }
  return all && tensors !== undefined ? `${head}  ${showSum(tensors)}\n${showTensors(tensors)}` : head;
}

/** Breaks a list into lines of at most `width` columns, between its items. */
function wrapList(items: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const item of items) {
    const last = lines.at(-1);
    if (last === undefined || textWidth(last) + 2 + textWidth(item) > width) lines.push(item);
    else lines[lines.length - 1] = `${last}, ${item}`;
  }
  return lines;
}

function showValue({ name, type, shape }: GraphValue): string {
  return `${name} ${type} [${shape.join(", ")}]`;
}

function showSum(tensors: readonly StoredWeight[]): string {
  const values = tensors.reduce((sum, { shape }) => sum + elements(shape), 0);
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const types = Object.entries(Object.groupBy(tensors, ({ dtype }) => dtype))
    .map(([type, group]) => `${group.length} ${type}`);
  return `${tensors.length} (${types.join(", ")}), ${values.toLocaleString("en")} parameters, ${size(bytes)}`;
}

function showTensors(tensors: readonly StoredWeight[]): string {
  const width = Math.max(...tensors.map(({ dtype }) => dtype.length));
  return columns(
    tensors.map(({ name, dtype, shape }) => [name, `${dtype.padEnd(width)} [${shape.join(", ")}]`]),
    "  ",
  );
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { BenchCase } from "../../bench/case.ts";
import { deviation } from "../../bench/case.ts";
import type { BenchRecord } from "../../bench/history.ts";
import { type KernelRow, measureCase } from "../../bench/measure.ts";
import type { Peer, PeerRun } from "../../bench/peer.ts";
import { findCases, parseReportOptions } from "../../bench/report.ts";
import { formatReport, isSameCase } from "../../bench/tables.ts";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { copyWords } from "../../kernels/profile/roof.ts";
import type { Profile } from "../../kernels/profile/profile.ts";

Deno.test("parseReportOptions: the command line of the report", () => {
  const { history, ...rest } = parseReportOptions(["sample", "--rounds=7", "--no-peers", "density"]);
  assert(String(history).endsWith("/bench/history.jsonl"));
  assertEquals(rest, {
    ...{ names: ["sample", "density"], rounds: 7, span: 150, quick: false },
    ...{ peers: false, json: false, failOnRegression: undefined },
  });
  const quick = parseReportOptions([
    "--quick",
    "--json",
    "--history=h",
    "--fail-on-regression=10",
    "--span=5",
  ]);
  assertEquals([quick.rounds, quick.span, quick.json, quick.history, quick.failOnRegression], [
    3,
    5,
    true,
    "h",
    10,
  ]);
  assertThrows(
    () => parseReportOptions(["--rounds=many"]),
    RangeError,
    "Cannot report as --rounds must be an integer from 1 to 1000: current value is NaN",
  );
  assertThrows(
    () => parseReportOptions(["--fail-on-regression=-1"]),
    RangeError,
    "Cannot report as --fail-on-regression must be from 0 to 1000000: current value is -1",
  );
  assertThrows(() => parseReportOptions(["--round=3"]), TypeError, "--round");
});

Deno.test("findCases: cases are found in all bench files", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/b_bench.ts`,
      `export const cases = [{ kernel: "b" }, { kernel: "c" }];`,
    );
    await Deno.writeTextFile(`${folder}/a_bench.ts`, `export const cases = [{ kernel: "a" }];`);
    await Deno.writeTextFile(`${folder}/none_bench.ts`, `export {};`);
    await Deno.writeTextFile(`${folder}/case.ts`, `export const cases = [{ kernel: "not" }];`);
    const cases = await findCases(new URL(`file://${folder}/`));
    assertEquals(cases.map(({ kernel }) => kernel), ["a", "b", "c"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** A copy of 8 words, f32 or u32. */
function copyCase(type: "f32" | "u32"): BenchCase {
  return {
    ...{ kernel: "copy", size: "8 words", calls: 1, cost: { bytes: 64 }, shape: { count: 8 } },
    allowed: { webgpu: 0, naive: 0 },
    setUp: (bench) => {
      const data = [1, 2, 3, 4, 5, 6, 7, 8];
      const input = bench.upload(type === "f32" ? new Float32Array(data) : new Uint32Array(data));
      const output = bench.allocate(8);
      const call = () => bench.device.run(copyWords, { input, output, count: 8 });
      return { kernel: call, naive: call, inputs: { input }, outputs: [{ array: output, type }] };
    },
  };
}

interface Copying extends Peer {
  readonly log: string[];
}

/** A peer that copies, with changes to what it gives back. */
function copying(name: string, changes: Partial<PeerRun> = {}): Copying {
  const log: string[] = [];
  return {
    ...{ name, kernels: ["copy"], log },
    open: ({ kernel, shape, inputs }) => {
      log.push(`${kernel} ${shape.count} ${inputs.input!.constructor.name}`);
      return Promise.resolve({
        call: () => void log.push("call"),
        finish: () => Promise.resolve(),
        output: () => Promise.resolve(inputs.input!),
        [Symbol.asyncDispose]: () => {
          log.push("dispose");
          return Promise.resolve();
        },
        ...changes,
      });
    },
  };
}

async function measurePeers(type: "f32" | "u32", peers: readonly Peer[]): Promise<KernelRow> {
  using cpu = new CpuDevice();
  const row = await measureCase(copyCase(type), { cpu, gpu: undefined }, { rounds: 1, span: 0, peers });
  assertEquals(cpu.counters.liveArrays, 0);
  return row;
}

Deno.test("measureCase: peers get the case's numbers, are checked, timed and closed", async () => {
  for (const [type, array] of [["f32", "Float32Array"], ["u32", "Uint32Array"]] as const) {
    const peer = copying("copies");
    const row = await measurePeers(type, [peer, { ...copying("other"), kernels: ["sample"] }]);
    assertEquals(row.peers.map(({ name, off, problem }) => [name, off, problem]), [["copies", 0, undefined]]);
    assertEquals(row.peers[0]!.profile!.calls, 1);
    // A call to check, two to prepare and one round.
    assertEquals(peer.log, [`copy 8 ${array}`, "call", "call", "call", "call", "dispose"]);
    assert(row.webgpu === undefined && row.naive === undefined && row.twin.roofShare! > 0);
  }
});

Deno.test("measureCase: peers that cannot or do it wrong are not timed, and say why", async () => {
  const wrong = copying("wrong", {
    output: () => Promise.resolve(new Float32Array([1, 2, 3, 4, 5, 6, 7, 8.1])),
  });
  const short = copying("short", { output: () => Promise.resolve(new Float32Array(7)) });
  const failing = copying("failing", { call: () => Promise.reject(new Error("Out of order")) });
  const unable: Peer = { ...copying("unable"), open: () => Promise.reject(new Error("No top-p here")) };
  const impossible = copying("impossible", {
    check: () => {
      throw new Error("A draw that cannot be");
    },
  });
  const close = copying("close", {
    allowed: 0.02,
    output: () => Promise.resolve(new Float32Array([1, 2, 3, 4, 5, 6, 7, 8.1])),
  });
  const drawn = copying("drawn", { check: () => {}, output: () => Promise.resolve(new Uint32Array(3)) });
  const peers = [wrong, short, failing, unable, impossible, close, drawn];
  const row = await measurePeers("f32", peers);
  assertEquals(row.peers.map(({ name, problem }) => [name, problem]), [
    ["wrong", "Its output is off by 0.013, allowed are 0.0001"],
    ["short", "Its output has 7 values where the twin's has 8"],
    ["failing", "Out of order"],
    ["unable", "No top-p here"],
    ["impossible", "A draw that cannot be"],
    ["close", undefined],
    ["drawn", undefined],
  ]);
  assertEquals(row.peers.map(({ profile }) => profile !== undefined), [
    false,
    false,
    false,
    false,
    false,
    true,
    true,
  ]);
  for (const { name, log } of [wrong, short, failing, impossible, close, drawn]) {
    assertEquals(log.at(-1), "dispose", name);
  }
});

Deno.test("measureCase: a peer that breaks down while it is timed does not take the others with it", async () => {
  const failAt = (call: number, broken: () => void | Promise<void>): Peer => {
    let calls = 0;
    return copying("breaks", { call: () => ++calls === call ? broken() : undefined });
  };
  const late = () => Promise.reject(new Error("Out of memory"));
  const atOnce = () => {
    throw new Error("Out of memory");
  };
  for (const breaking of [failAt(2, late), failAt(4, atOnce)]) {
    const row = await measurePeers("f32", [breaking, copying("works")]);
    assertEquals(row.peers.map(({ problem }) => problem), ["Out of memory", undefined]);
    assertEquals(row.peers.map(({ profile }) => profile === undefined), [true, false]);
  }
});

Deno.test("measureCase: integers of peers may come as floats", async () => {
  const peer = copying("floats", {
    output: () => Promise.resolve(new Float32Array([1, 2, 3, 4, 5, 6, 7, 8])),
  });
  assertEquals((await measurePeers("u32", [peer])).peers[0]!.off, 0);
  const other = copying("other", {
    output: () => Promise.resolve(new Float32Array([1, 2, 3, 4, 5, 6, 8, 7])),
  });
  const { problem } = (await measurePeers("u32", [other])).peers[0]!;
  assertEquals(problem, "Its output is off by 0.25, allowed are 0.0001");
});

Deno.test("deviation: how far results are off", () => {
  const words = (...values: number[]) => new Uint32Array(new Float32Array(values).buffer);
  assertEquals(deviation(words(1, -4), words(1, -4), "f32"), 0);
  assertEquals(deviation(words(1, -4), words(2, -4), "f32"), 0.25);
  assertEquals(deviation(words(0, 0), words(0, 0), "f32"), 0);
  assertEquals(deviation(words(0, 0), words(0, 3), "f32"), 3);
  assertEquals(deviation(words(1, 2), words(1, NaN), "f32"), NaN);
  assertEquals(deviation(new Uint32Array([1, 2, 3, 4]), new Uint32Array([1, 2, 4, 3]), "u32"), 0.5);
});

const twin: Profile = {
  ...{ milliseconds: 4, low: 3.5, high: 250, clock: "wall", wallMilliseconds: 4, times: [4] },
  ...{ calls: 1, dispatches: 1, readbacks: 0, gigabytesPerSecond: 3, roofShare: 0.25 },
};
const webgpu: Profile = {
  ...twin,
  milliseconds: 2,
  low: 1.5,
  high: 2.5,
  clock: "gpu",
  wallMilliseconds: 2.5,
};

function record(kernels: KernelRow[], adapter: string | null): BenchRecord {
  return {
    ...{ date: "", commit: null, adapter, cpu: "C", deno: "2.9", os: "linux 6" },
    ...{ settings: { rounds: 1, span: 1 }, roof: { cpu: { gigabytesPerSecond: 12, gigaopsPerSecond: 345 } } },
    ...{ kernels, pipeline: [] },
  };
}

Deno.test("formatReport: the table with an adapter, others beside it and the change", () => {
  const row: KernelRow = {
    ...{ kernel: "k", size: "1|2", shape: { n: 5 }, twin, webgpu, naive: { ...webgpu, milliseconds: 5 } },
    peers: [
      { name: "lib 1", profile: { ...twin, wallMilliseconds: 10 }, off: 2.6e-7 },
      { name: "lib 2", problem: "no top-p" },
    ],
  };
  const change = { kernel: "k", size: "1|2", variant: "webgpu", before: 4, now: 2, ratio: 0.5 } as const;
  const recorded = { library: "torch", version: "2", machine: "M", milliseconds: 1, date: "D" };
  const text = formatReport(record([row], "A"), [change, { ...change, variant: "twin", ratio: 9 }], [
    { kernel: "k", shape: { n: 5 }, ...recorded },
    { kernel: "k", shape: { n: 6 }, ...recorded },
  ]);
  assertEquals(
    text,
    `Adapter: A; C; Deno 2.9, linux 6

Roof of the twins: copy 12 GB/s, multiply-add 345 Gflop/s

| kernel | size | GPU ms | p10–p90 | wall ms | naive ms | twin ms | naive / GPU | twin / wall | GB/s | Gop/s | of the roof | change |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| k | 1\\|2 | 2.00 | 1.50–2.50 | 2.50 | 5.00 | 4.00 | 2.50× | 1.60× | 3.0 |  | 25 % | 0.50× |

| kernel | size | library | ms | p10–p90 | / WebGPU | / twin | off by |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |
| k | 1\\|2 | lib 1 | 10.0 | 3.50–250 | 4.00× | 2.50× | 3e-7 |
| k | 1\\|2 | lib 2: no top-p |  |  |  |  |  |
| k | 1\\|2 | torch 2, M, D | 1.00 |  | 0.40× | 0.25× |  |`,
  );
});

Deno.test("formatReport: the table without an adapter is about the twin", () => {
  const text = formatReport(record([{ kernel: "k", size: "1", twin, peers: [] }], null), [], []);
  assertEquals(
    text.split("\n\n")[2],
    `| kernel | size | twin ms | p10–p90 | GB/s | Gop/s | of the roof | change |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
| k | 1 | 4.00 | 3.50–250 | 3.0 |  | 25 % |  |`,
  );
});

Deno.test("isSameCase: a recorded figure belongs to a case by its words or by its numbers", () => {
  const row: KernelRow = { kernel: "k", size: "small", shape: { n: 5, d: 3 }, twin, peers: [] };
  const recorded = { kernel: "k", library: "l", version: "1", machine: "m", milliseconds: 1, date: "d" };
  assert(isSameCase({ ...recorded, size: "small" }, row));
  assert(!isSameCase({ ...recorded, size: "large" }, row));
  assert(isSameCase({ ...recorded, shape: { n: 5 } }, row));
  assert(!isSameCase({ ...recorded, shape: { n: 5, d: 4 } }, row));
  assert(!isSameCase({ ...recorded, shape: { n: 5, other: 4 } }, row));
  assert(!isSameCase({ ...recorded, kernel: "j", size: "small" }, row));
  assert(!isSameCase(recorded, row));
});

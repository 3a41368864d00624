import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  fileNames,
  type FlexVarSizes,
  parseSyntheticRequest,
  syntheticFiles,
  type SyntheticSizes,
  vaeTensors,
  type VarSizes,
  varTensors,
} from "../../bench/synthetic_checkpoint.ts";
import { writeSynthetic } from "../../bench/checkpoint_writer.ts";
import { endOfDirectory, type PyTorchTensor, writePyTorch } from "../../bench/pytorch_file.ts";
import { openCheckpoint, type TensorInfo } from "../../models/checkpoint/mod.ts";
import { describeCheckpoint } from "../../models/convert.ts";
import { familyNamed } from "../../models/families.ts";
import { flexVarSizes } from "../../models/flexvar/config.ts";
import { varSizes } from "../../models/var/config.ts";
import { WeightSet } from "../../models/weights/weight_set.ts";
import { crc32 } from "node:zlib";

const SMALL: VarSizes = { family: "var", depth: 2, pixels: 256, channels: 32, seed: 0 };
const SMALL_FLEXVAR: FlexVarSizes = { family: "flexvar", depth: 2, channels: 32, seed: 0 };

function summary(tensors: readonly Omit<PyTorchTensor, "bytes">[]) {
  const sizes = tensors.map(({ shape, dtype }) => {
    const count = shape.reduce((product, size) => product * size, 1);
    return { count, bytes: count * (dtype === "I64" ? 8 : 4) };
  });
  const sum = (key: "count" | "bytes"): number => sizes.reduce((total, size) => total + size[key], 0);
  return { tensors: tensors.length, elements: sum("count"), bytes: sum("bytes") };
}

const BUFFERS = /lvl_1L|attn_bias_for_masking|zero_k_bias|ema_vocab_hit_SV|codebook_used/;

/** Tensors, parameters and bytes of the published state dicts. */
const PUBLISHED: readonly [depth: number, tensors: number, parameters: number, bytes: number][] = [
  [16, 220, 310_283_520, 1_243_054_656],
  [20, 272, 600_917_136, 2_405_625_984],
  [24, 324, 1_033_399_360, 4_135_599_936],
  [30, 402, 2_010_020_356, 8_042_166_864],
  [36, 446, 2_353_893_904, 9_435_995_712],
];

Deno.test("parseSyntheticRequest: synthetic transformers have the sizes of the published ones", () => {
  for (const [depth, tensors, parameters, bytes] of PUBLISHED) {
    const { sizes } = parseSyntheticRequest([`--depth=${depth}`, "--output=x"]);
    const list = varTensors(sizes);
    const found = summary(list);
    assertEquals([found.tensors, found.bytes], [tensors, bytes], `d${depth}`);
    assertEquals(summary(list.filter(({ name }) => !BUFFERS.test(name))).elements, parameters, `d${depth}`);
  }
});

Deno.test("parseSyntheticRequest: a synthetic tokenizer has the sizes of the published one", () => {
  const { sizes } = parseSyntheticRequest(["--output=x"]);
  const found = vaeTensors(sizes);
  assertEquals(summary(found), { tensors: 324, elements: 108_989_315, bytes: 435_957_260 });
  assertEquals(summary(found.filter(({ name }) => !BUFFERS.test(name))).elements, 108_948_355);
  assertEquals(fileNames(sizes), { var: "var_d16.pth", vae: "vae_ch160v4096z32.pth" });
});

Deno.test("parseSyntheticRequest: synthetic FlexVAR checkpoints have as many parameters as the published ones", () => {
  const parameters = (tensors: readonly PyTorchTensor[]): number => {
    return summary(tensors.filter(({ name }) => !BUFFERS.test(name))).elements;
  };
  const counts = [
    [16, 315_561_936, "FlexVARd16-epo179.pth"],
    [20, 607_513_952, "FlexVARd20-epo249.pth"],
    [24, 1_041_314_576, "FlexVARd24-epo349.pth"],
    [30, 2_019_913_172, "FlexVARd30.pth"],
  ] as const;
  for (const [depth, count, name] of counts) {
    const { sizes } = parseSyntheticRequest(["--family=flexvar", `--depth=${depth}`, "--output=x"]);
    assertEquals(parameters(varTensors(sizes)), count, `d${depth}`);
    assertEquals(fileNames(sizes), { var: name, vae: "FlexVAE.pth" });
    assertEquals(parameters(vaeTensors(sizes)), 72_049_827);
  }
});

/**
 * Tensors of a checkpoint that PyTorch wrote of the same modules in other sizes, as far as their names begin
 * with the prefix.
 */
async function modules(
  file: string,
  sizes: Readonly<Record<number, number>> = {},
  prefix = "",
): Promise<[string, number[]][]> {
  using checkpoint = await openCheckpoint(new URL(`../fixtures/${file}`, import.meta.url));
  const tensors = [...checkpoint.tensors.values()].filter(({ name }) => name.startsWith(prefix));
  return tensors.map(({ name, shape }) => [
    name.slice(prefix.length),
    name.endsWith("class_emb.weight") ? [1001, shape[1]!] : shape.map((size) => sizes[size] ?? size),
  ]);
}

function namesAndShapes(tensors: Iterable<Omit<TensorInfo, "dtype">>): [string, number[]][] {
  return Array.from(tensors, ({ name, shape }) => [name, [...shape]]);
}

Deno.test("varTensors: names, shapes and order are those of the modules", async () => {
  assertEquals(
    namesAndShapes(varTensors(SMALL)),
    await modules("golden/var-adaln/var.pth", { 4: 10, 16: 32, 30: 680, 96: 4096 }),
  );
  assertEquals(
    namesAndShapes(varTensors({ ...SMALL, pixels: 512 })),
    await modules("golden/var-shared-adaln/var.pth", { 7: 10, 8: 32, 316: 2240, 64: 4096 }),
  );
  assertEquals(
    namesAndShapes(vaeTensors(SMALL)),
    await modules("golden/var-adaln/vae.pth", { 4: 10, 16: 32, 96: 4096 }),
  );
});

/** Names in their order, whatever the level. */
function kinds(tensors: readonly [string, number[]][]): string[] {
  return [...new Set(tensors.map(([name]) => name.replace(/conv_blocks\.\d+/, "conv_blocks.*")))];
}

Deno.test("varTensors: names, shapes and order of FlexVAR's are those of its modules", async () => {
  const file = "flexvar/ar-ckpt.pth";
  assertEquals(
    namesAndShapes(varTensors(SMALL_FLEXVAR)),
    await modules(file, { 8: 32, 96: 8912 }, "trainer.var_wo_ddp."),
  );
  // That tokenizer has a level less.
  assertEquals(
    kinds(namesAndShapes(vaeTensors(SMALL_FLEXVAR))),
    kinds(await modules(file, {}, "trainer.vae_local.")),
  );
});

/** The tensors that a model is made of, sorted. */
function sorted(tensors: Iterable<Pick<TensorInfo, "name" | "shape">>): [string, number[]][] {
  const used = namesAndShapes([...tensors].filter(({ name }) => !BUFFERS.test(name)));
  return used.sort(([one], [other]) => one < other ? -1 : 1);
}

Deno.test("parseSyntheticRequest: these lists and those that models are read by are the same", async () => {
  const cases = [["var", "--depth=16"], ["var", "--depth=36"], ["flexvar", "--depth=16"], [
    "flexvar",
    "--depth=24",
  ]];
  const sizesOf = { var: varSizes, flexvar: flexVarSizes };
  for (const [name, depth] of cases as [SyntheticSizes["family"], string][]) {
    const { sizes } = parseSyntheticRequest([`--family=${name}`, depth, "--output=x"]);
    const lists = { transformer: varTensors(sizes), tokenizer: vaeTensors(sizes) };
    const weights = Object.fromEntries(
      Object.entries(lists).map(([part, list]) => {
        const set = new WeightSet(part, new Map(list.map((tensor) => [tensor.name, tensor])));
        return [part, { set, readFloat32: (tensor: string) => valuesOf(list, tensor) }];
      }),
    );
    // deno-lint-ignore no-explicit-any
    const known = sizesOf[name](await familyNamed(name).infer(weights) as any);
    assertEquals(sorted(known.tensors.transformer), sorted(lists.transformer), `${name} ${depth}`);
    assertEquals(sorted(known.tensors.tokenizer), sorted(lists.tokenizer), `${name} ${depth}`);
  }
});

/** Integers of a tensor. */
function valuesOf(list: readonly PyTorchTensor[], name: string): Promise<Float32Array<ArrayBuffer>> {
  const [bytes] = list.find((tensor) => tensor.name === name)!.bytes();
  return Promise.resolve(Float32Array.from(new BigInt64Array(bytes!.buffer), Number));
}

Deno.test("syntheticFiles: files are laid out as published, or as trainers save them", async () => {
  await inFolder(async (folder) => {
    const sizes: FlexVarSizes = { ...SMALL_FLEXVAR, depth: 1 };
    const wanted = [
      [["FlexVARd1.pth", ""], ["FlexVAE_ch32.pth", "model."]],
      [["ar-ckpt-flexvar-d1.pth", "trainer.var_wo_ddp.", "trainer.vae_local."]],
    ];
    const tensors = { var: varTensors(sizes), vae: vaeTensors(sizes) };
    for (const [i, files] of [syntheticFiles(sizes), syntheticFiles(sizes, { trainer: true })].entries()) {
      assertEquals(files.map(({ name }) => name), wanted[i]!.map(([name]) => name));
      for (const [k, { name, state }] of files.entries()) {
        const path = `${folder}/${name}`;
        await writeSynthetic(path, state);
        using checkpoint = await openCheckpoint(path);
        const parts = i === 1 ? [tensors.var, tensors.vae] : [[tensors.var, tensors.vae][k]!];
        const names = parts.flatMap((list, j) => list.map(({ name }) => wanted[i]![k]![j + 1] + name));
        assertEquals([...checkpoint.tensors.keys()], names);
        const { family, parts: held, problem } = await describeCheckpoint(checkpoint);
        assertEquals([family?.name, held.length, problem], ["flexvar", parts.length, undefined]);
      }
    }
    const [only, ...others] = syntheticFiles(SMALL, { parts: ["vae"] });
    assertEquals([only!.name, others], ["vae_ch32v4096z32.pth", []]);
  });
});

async function inFolder(action: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "varscale-synthetic-" });
  try {
    await action(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("varTensors: what is written is read with the values that were meant", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/var.pth`;
    const tensors = varTensors(SMALL);
    await writeSynthetic(path, tensors);
    using checkpoint = await openCheckpoint(path);
    assertEquals(namesAndShapes(checkpoint.tensors.values()), namesAndShapes(tensors));
    assertEquals(checkpoint.tensors.get("lvl_1L")!.dtype, "I64");

    const scales = await checkpoint.readFloat32("lvl_1L");
    assertEquals([scales[0], scales[1], scales[4], scales[5], scales[423], scales[424]], [0, 1, 1, 2, 8, 9]);
    const mask = await checkpoint.readFloat32("attn_bias_for_masking");
    mask.forEach((value, i) => {
      const seen = scales[Math.floor(i / 680)]! >= scales[i % 680]!;
      if (value !== (seen ? 0 : -Infinity)) throw new Error(`The mask is wrong at ${i}: ${value}`);
    });
    assertEquals(new Set(await checkpoint.readFloat32("blocks.1.attn.zero_k_bias")), new Set([0]));

    // 524288 values of standard deviation 2 / √128: their mean is within 5 standard errors of 0, their
    // deviation near what is meant. The bank of 65536 normal numbers has errors of its own, √8 times as
    // large.
    const head = await checkpoint.readFloat32("head.weight");
    const mean = head.reduce((sum, value) => sum + value, 0) / head.length;
    const deviation = Math.sqrt(head.reduce((sum, value) => sum + (value - mean) ** 2, 0) / head.length);
    const meant = 2 / Math.sqrt(128);
    assertAlmostEquals(mean, 0, 5 * meant / Math.sqrt(1 << 16));
    assertAlmostEquals(deviation, meant, 5 * meant / Math.sqrt(2 << 16));
    const neighbours = head.reduce((sum, value, i) => sum + value * (head[i + 1] ?? 0), 0) / head.length;
    assertAlmostEquals(neighbours / deviation ** 2, 0, 5 / Math.sqrt(head.length));
    assertEquals(Array.from(await checkpoint.readFloat32("pos_start")).every(Number.isFinite), true);
  });
});

Deno.test("varTensors: features of codes of length 1 are embedded as large as those of others", () => {
  const deviationOf = (sizes: SyntheticSizes): number => {
    const [bytes] = varTensors(sizes).find(({ name }) => name === "word_embed.weight")!.bytes();
    const values = new Float32Array(bytes!.buffer, 0, 128 * 32);
    return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
  };
  // 4096 values: five standard errors of a deviation are 5.5 %.
  assertAlmostEquals(deviationOf(SMALL) * Math.sqrt(32), 1, 0.055);
  assertAlmostEquals(deviationOf(SMALL_FLEXVAR), 1, 0.055);
});

Deno.test("writeSynthetic: data begins at multiples of 64 bytes and has its checksum in both headers", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/vae.pth`;
    await writeSynthetic(path, vaeTensors(SMALL));
    const bytes = await Deno.readFile(path);
    const view = new DataView(bytes.buffer);
    const directory = view.getUint32(bytes.length - 6, true);
    const [end, names] = [bytes.length - 22, [] as string[]];
    for (let at = directory; at < end;) {
      const [length, extra] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true)];
      names.push(new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + length)));
      const [crc, size, local] = [16, 24, 42].map((field) => view.getUint32(at + field, true));
      const data = local! + 30 + length + view.getUint16(local! + 28, true);
      assertEquals(data % 64, 0);
      assertEquals(crc, crc32(bytes.subarray(data, data + size!)), names.at(-1)!);
      assertEquals([14, 22].map((field) => view.getUint32(local! + field, true)), [crc, size]);
      at += 46 + length + extra;
    }
    assertEquals(names.slice(0, 3), ["archive/data.pkl", "archive/byteorder", "archive/data/0"]);
    assertEquals(names.slice(-2), ["archive/data/323", "archive/version"]);
  });
});

Deno.test("varTensors: a seed and a name select the values, whatever else is in the file", () => {
  const first = (tensors: readonly PyTorchTensor[], name: string): number[] => {
    const [piece] = tensors.find((tensor) => tensor.name === name)!.bytes();
    return Array.from(new Float32Array(piece!.buffer, 0, 64));
  };
  const name = "class_emb.weight";
  const values = first(varTensors(SMALL), name);
  assertEquals(first(varTensors({ ...SMALL, pixels: 512 }), name), values);
  assertEquals(first(varTensors({ ...SMALL, seed: 1 }), name).some((value, i) => value === values[i]), false);
  assertEquals(first(varTensors(SMALL), "pos_1LC").some((value, i) => value === values[i]), false);
});

Deno.test("varTensors: pieces of a large tensor follow each other without a seam", async () => {
  // 1001 × 1280 values are a piece of 4 MiB and a rest.
  const tensor = varTensors({ ...SMALL, depth: 20 }).find(({ name }) => name === "class_emb.weight")!;
  const pieces = Array.from(tensor.bytes(), (piece) => piece.slice());
  assertEquals(pieces.map(({ length }) => length), [1 << 22, 4 * 1001 * 1280 - (1 << 22)]);
  const [first, rest] = pieces.map(({ buffer }) => new Float32Array(buffer));
  assertEquals(rest!.slice(0, 64).some((value, i) => value === first![i]), false);
  await inFolder(async (folder) => {
    await writeSynthetic(`${folder}/var.pth`, [tensor]);
    using checkpoint = await openCheckpoint(`${folder}/var.pth`);
    // Reading a whole member verifies its checksum.
    const values = await checkpoint.readFloat32(tensor.name);
    assertEquals(values[(1 << 20) - 1], first!.at(-1));
    assertEquals(values.slice(1 << 20, (1 << 20) + 64), rest!.slice(0, 64));
  });
});

Deno.test("endOfDirectory: an archive behind 4 GiB is read by ZIP64", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/large.pth`;
    const hole = new Uint8Array(1 << 20);
    // A sparse file: pieces of zeros are skipped, not written.
    const tensors = ["a", "b", "c"].map((name, i): PyTorchTensor => ({
      name,
      dtype: "F32",
      shape: i === 2 ? [4] : [1 << 29],
      *bytes() {
        if (i === 2) yield new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
        else for (let k = 0; k < 2048; k++) yield hole;
      },
    }));
    {
      using file = await Deno.open(path, { createNew: true, write: true });
      const sparse = new Proxy(file, {
        get(target, property) {
          if (property === "writeSync") {
            return (bytes: Uint8Array) => {
              if (bytes !== hole && bytes.buffer !== hole.buffer) return target.writeSync(bytes);
              target.seekSync(bytes.length, Deno.SeekMode.Current);
              return bytes.length;
            };
          }
          const value = Reflect.get(target, property);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
      writePyTorch(sparse, tensors);
    }
    using checkpoint = await openCheckpoint(path);
    assertEquals((await Deno.stat(path)).size > 2 ** 32, true);
    assertEquals(Array.from(await checkpoint.readFloat32("c")), [1, 2, 3, 4]);
  });
  assertEquals(endOfDirectory({ count: 1, size: 50, offset: 2 ** 32 - 2 }).length, 22);
  assertEquals(endOfDirectory({ count: 1, size: 50, offset: 2 ** 32 - 1 }).length, 56 + 20 + 22);
});

Deno.test("writeSynthetic: a file is replaced only when asked for, and a failed one leaves nothing", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/var.pth`;
    await Deno.writeTextFile(path, "mine");
    const one: PyTorchTensor = { name: "x", dtype: "F32", shape: [2], bytes: () => [new Uint8Array(8)] };
    await assertRejects(() => writeSynthetic(path, [one]), Deno.errors.AlreadyExists, "give --overwrite");
    assertEquals(await Deno.readTextFile(path), "mine");
    const short = { ...one, shape: [3] };
    await assertRejects(
      () => writeSynthetic(path, [short], { overwrite: true }),
      TypeError,
      "takes 12 bytes: current length is 8",
    );
    assertEquals(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["var.pth"]);
    assertEquals(await Deno.readTextFile(path), "mine");
    await writeSynthetic(path, [one], { overwrite: true });
    using checkpoint = await openCheckpoint(path);
    assertEquals(Array.from(await checkpoint.readFloat32("x")), [0, 0]);
  });
});

Deno.test("parseSyntheticRequest: the command line says what is written and what it cannot write", () => {
  const parse = (line: string) => parseSyntheticRequest(line.split(" "));
  assertEquals(parse("--output out"), {
    sizes: { family: "var", depth: 16, pixels: 256, channels: 160, seed: 0 },
    output: "out",
    parts: ["var", "vae"],
    trainer: false,
    overwrite: false,
  });
  const other = parse("--output out --depth 36 --seed 3 --vae --overwrite");
  assertEquals(other.sizes, { family: "var", depth: 36, pixels: 512, channels: 160, seed: 3 });
  assertEquals([other.parts, other.overwrite], [["vae"], true]);
  const flexible = parse("--output out --family flexvar --depth 24 --trainer");
  assertEquals(flexible.sizes, { family: "flexvar", depth: 24, channels: 128, seed: 0 });
  assertEquals(flexible.trainer, true);
  assertThrows(() => parse("--output out --family flexvar --pixels 512"), TypeError, "as only VAR's models");
  assertThrows(() => parse("--output out --family infinity"), TypeError, '--family must be one of "var"');
  assertThrows(() => parse("--depth 16"), TypeError, "--output must name a folder");
  assertThrows(() => parse("--output out --depth 0"), RangeError, "--depth must be an integer");
  assertThrows(() => parse("--output out --channels 48"), RangeError, "multiple of 32: current value is 48");
  assertThrows(() => parse("--output out --pixels 128"), RangeError, "256 or 512: current value is 128");
  assertThrows(() => parse("--output out --wide"), TypeError, "--wide");
});

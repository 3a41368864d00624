/**
 * Infinity between its scales: an image is to the bit what it is alone, whatever stands beside it; lanes;
 * what guides it, and where. On the recorded transformers, whose weights are hashes, with maps of up to 8×8.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { loadModel, type LoadModelOptions } from "../../../models/load.ts";
import type { Label } from "../../../models/label.ts";
import type { Generation, Model } from "../../../models/model.ts";
import { isGuided, type Schedule, type ScheduleRequest } from "../../../models/schedule.ts";
import { TextFeatures } from "../../../models/text/text_features.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";
import { hashedCheckpoints, TRANSFORMER_CASES } from "./hashed_model.ts";

const [SQUARE, , PATCHES] = TRANSFORMER_CASES;
/** Scales that are run here; the last of them has 6×6 tokens. */
const SCALES = 4;

/** Prompts by the number of their tokens; what a batch is padded to is 16, 32, 64 or 128. */
const LENGTHS: Readonly<Record<string, number>> = { "": 1, five: 5, twenty: 20, seventy: 70 };

const FEATURES = new TextFeatures(
  256,
  new Map(
    Object.entries(LENGTHS).map(([prompt, tokens]) => {
      const random = testRandom(tokens);
      return [prompt, Float32Array.from({ length: 256 * tokens }, () => 4 * random() - 2)];
    }),
  ),
);

async function load(device: Device, recorded = SQUARE!, options: LoadModelOptions = {}): Promise<Model> {
  return await loadModel(await hashedCheckpoints(recorded), { device, ...options });
}

/** An image of a batch: what it shows, and the random tokens that it is given. */
interface Lane {
  readonly label: Label;
  readonly noise: number;
}

/** A schedule of 256 px, of which the first scales are run. */
function scheduleOf(model: Model, { familyOptions, ...request }: ScheduleRequest = {}): Schedule {
  return model.schedule({ ...request, familyOptions: { pn: "0.06M", ...familyOptions } });
}

async function start(
  model: Model,
  lanes: readonly Lane[],
  request: ScheduleRequest = {},
): Promise<Generation> {
  const schedule = scheduleOf(model, request);
  return await model.start({
    labels: lanes.map(({ label }) => model.resolveLabel(label)),
    guided: isGuided(schedule),
    schedule,
    textFeatures: FEATURES,
  });
}

/** Tokens of a lane. */
function tokensOf(model: Model, { noise }: Lane, scale: number): number[] {
  const random = testRandom(100 * noise + scale);
  const bits = model.tokens.logits / 2;
  const { width, height } = scheduleOf(model).scales[scale]!;
  return Array.from({ length: width * height }, () => Math.floor(random() * 2 ** bits));
}

/** Ends scales with random tokens; logits of each lane, conditional and unconditional, scale by scale. */
async function run(
  model: Model,
  generation: Generation,
  { lanes, from = 0, to = SCALES }: { lanes: readonly Lane[]; from?: number; to?: number },
): Promise<Float32Array[][]> {
  const found: Float32Array[][] = [];
  for (let scale = from; scale < to; scale++) {
    using logits = await generation.logits();
    const values = await readFloats(logits);
    const rows = lanes.length * (generation.guided ? 2 : 1);
    const row = values.length / rows;
    found.push(lanes.map((_, i) => {
      const own = values.slice(i * row, (i + 1) * row);
      if (!generation.guided) return own;
      return Float32Array.of(...own, ...values.slice((lanes.length + i) * row, (lanes.length + i + 1) * row));
    }));
    using tokens = model.device.upload(
      Uint32Array.from(lanes.flatMap((lane) => tokensOf(model, lane, scale))),
    );
    generation.accept(tokens);
  }
  return found;
}

/** All at once. */
async function logitsOf(
  model: Model,
  lanes: readonly Lane[],
  request: ScheduleRequest = {},
): Promise<Float32Array[][]> {
  using generation = await start(model, lanes, request);
  return await run(model, generation, { lanes });
}

const layers = (cfgInsertionLayer: string): ScheduleRequest => ({
  cfg: 3,
  familyOptions: { cfgInsertionLayer },
});

/** Where guidance acts, and what it is away from. */
const REQUESTS: Readonly<Record<string, ScheduleRequest>> = {
  "without guidance": { cfg: 1 },
  "with guidance": { cfg: 3 },
  "with guidance after blocks": layers("-1"),
  "with both": layers("0,-2"),
  "away from a prompt": { cfg: 3, familyOptions: { negativePrompt: "twenty" } },
};

/** Of which lanes are gathered: all kinds of arrays that a batch has. */
const GATHERED: readonly string[] = ["without guidance", "with guidance after blocks", "away from a prompt"];

const FIVE: Lane = { label: "five", noise: 1 };
const OTHERS: readonly Lane[] = [
  { label: "seventy", noise: 2 },
  { label: null, noise: 3 },
  { label: "twenty", noise: 4 },
  { label: "", noise: 5 },
];

for (const [name, request] of Object.entries(REQUESTS)) {
  testOnDevices(
    `Generation: an image is to the bit what it is alone, beside prompts of any length, ${name}`,
    async (device) => {
      await using model = await load(device);
      const alone = await logitsOf(model, [FIVE], request);
      for (const others of [OTHERS.slice(0, 1), OTHERS.slice(2, 3), OTHERS]) {
        const beside = await logitsOf(model, [...others, FIVE], request);
        for (const [scale, lanes] of alone.entries()) {
          const own = beside[scale]!.at(-1)!;
          assertEquals(maxDifference(own, lanes[0]!), 0, `scale ${scale} beside ${others.length}`);
        }
      }
    },
  );

  if (!GATHERED.includes(name)) continue;
  testOnDevices(
    `Generation: lanes that were gathered go on as if they had begun like that, ${name}`,
    async (device) => {
      await using model = await load(device);
      const lanes = [FIVE, ...OTHERS.slice(0, 2)];
      for (const [after, order] of [[2, [2, 0, 0]], [1, [1]]] as const) {
        using generation = await start(model, lanes, request);
        await run(model, generation, { lanes, to: after });
        generation.gather(order);
        assertEquals(generation.images, order.length);
        const gathered = order.map((lane) => lanes[lane]!);
        const rest = await run(model, generation, { lanes: gathered, from: after });
        const fresh = await logitsOf(model, gathered, request);
        assertEquals(rest, fresh.slice(after), `lanes ${order}`);
      }
    },
  );
}

testOnDevices("Generation: patches go through a batch and through gathering, too", async (device) => {
  await using model = await load(device, PATCHES!);
  const lanes = [FIVE, OTHERS[0]!];
  using generation = await start(model, lanes);
  await run(model, generation, { lanes, to: 2 });
  generation.gather([1, 0, 1]);
  const gathered = [lanes[1]!, lanes[0]!, lanes[1]!];
  const rest = await run(model, generation, { lanes: gathered, from: 2 });
  assertEquals(rest.map((scale) => scale[1]), (await logitsOf(model, [FIVE])).slice(2).map(([own]) => own));
});

testOnDevices(
  "Generation: guidance makes a difference where and as strongly as it is asked for",
  async (device) => {
    await using model = await load(device);
    const halves = (logits: Float32Array): [Float32Array, Float32Array] => {
      return [logits.slice(0, logits.length / 2), logits.slice(logits.length / 2)];
    };
    const lanes = [FIVE];
    const unguided = await logitsOf(model, lanes, { cfg: 1 });
    const guided = await logitsOf(model, lanes, { cfg: 3 });
    const away = await logitsOf(model, lanes, { cfg: 3, familyOptions: { negativePrompt: "twenty" } });
    const toPrompt = await logitsOf(model, [{ label: "twenty", noise: FIVE.noise }], { cfg: 1 });
    for (let scale = 0; scale < SCALES; scale++) {
      const [conditional, unconditional] = halves(guided[scale]![0]!);
      assert(maxDifference(conditional, unconditional) > 0.1, "a prompt makes a difference");
      // Rows do not know of each other.
      assertEquals(conditional, unguided[scale]![0]);
      const [same, negative] = halves(away[scale]![0]!);
      assertEquals(same, conditional);
      assertEquals(negative, toPrompt[scale]![0]);
    }
    // After the last block the branches become one, of which either half tells bits by its own
    // modulation. cfg 1 leaves them alone.
    const mixed = await logitsOf(model, lanes, layers("0,-1"));
    const [first] = halves(mixed[0]![0]!);
    // Without guidance of the logits the same is told, but for the last bits of products of another shape.
    assert(maxDifference(first, (await logitsOf(model, lanes, layers("-1")))[0]![0]!) < 1e-5);
    assert(maxDifference(first, unguided[0]![0]!) > 0.1);
    const off = await logitsOf(model, lanes, { ...layers("-1"), cfg: 1 });
    assertEquals(off, unguided);
    // A list is strength by strength: here only from the third scale on.
    const scales = scheduleOf(model).scales.length;
    const cfg = Array.from({ length: scales }, (_, scale) => scale < 2 ? 1 : 3);
    const late = await logitsOf(model, lanes, { ...layers("-2"), cfg });
    const always = await logitsOf(model, lanes, layers("-2"));
    for (const scale of [0, 1]) {
      // A mix of 1 and 0 may round otherwise than none.
      assert(maxDifference(late[scale]![0]!, unguided[scale]![0]!) < 1e-5);
      assert(maxDifference(always[scale]![0]!, unguided[scale]![0]!) > 0.1);
    }
    assert(maxDifference(late[2]![0]!, unguided[2]![0]!) > 0.1);
  },
);

Deno.test(
  "Generation: blocks read when their turn comes give the same bits as a whole model",
  async () => {
    using device = new CpuDevice();
    await using whole = await load(device);
    await using parts = await load(device, SQUARE!, { offload: "blocks" });
    assertEquals([whole.offload, parts.offload], ["none", "blocks"]);
    const lanes = [FIVE, OTHERS[0]!];
    for (const request of [{ cfg: 3 }, layers("0,-2"), { cfg: 1 }]) {
      assertEquals(await logitsOf(parts, lanes, request), await logitsOf(whole, lanes, request));
    }
  },
);

testOnGpu("Generation: blocks are not read one by one on a GPU, which would keep them", async (device) => {
  await assertRejects(() => load(device, SQUARE!, { offload: "blocks" }), RangeError, 'use device: "cpu"');
});

testOnDevices(
  "Generation: keys and values as halves change logits by no more than their rounding",
  async (device) => {
    await using whole = await load(device);
    await using halves = await load(device, SQUARE!, { cacheDtype: "f16" });
    assertEquals([whole.cacheDtype, halves.cacheDtype], ["f32", "f16"]);
    const lanes = [FIVE, OTHERS[0]!];
    const wanted = await logitsOf(whole, lanes, { cfg: 3 });
    const found = await logitsOf(halves, lanes, { cfg: 3 });
    // Of the scale at hand nothing is kept yet.
    assertEquals(found[0], wanted[0]);
    for (const scale of [1, 2, 3]) {
      for (const [lane, values] of wanted[scale]!.entries()) {
        const own = found[scale]![lane]!;
        const rms = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
        const off = Math.sqrt(
          values.reduce((sum, value, i) => sum + (value - own[i]!) ** 2, 0) / values.length,
        );
        // A rounding of 2^-11 in keys becomes one of scores, which a scale of up to e^1.6 multiplies, and one
        // in values passes through: up to 2 · 5 · 2^-11 in each of four blocks, of which squares add up.
        assert(off > 0 && off < 2 * 10 * 2 ** -11 * rms, `scale ${scale}: ${off} of ${rms}`);
      }
    }
  },
);

testOnDevices(
  "Generation: labels, lanes and scales that are none are refused, and nothing stays",
  async (device) => {
    const atFirst = device.counters.liveArrays;
    const model = await load(device);
    const request = { familyOptions: { pn: "0.06M" } };
    const lanes = [FIVE, OTHERS[1]!];
    // What resizes maps is kept for each size that has occurred.
    {
      using first = await start(model, lanes, request);
      await run(model, first, { lanes, to: 7 });
      using _picture = await first.decode();
    }
    const { liveArrays } = device.counters;
    await assertRejects(() => start(model, []), RangeError, "the number of labels");
    await assertRejects(
      () => start(model, [{ label: "unknown", noise: 1 }]),
      TypeError,
      "has no text encoder",
    );
    {
      using generation = await start(model, lanes, request);
      for (const lanes of [[], [2], [0, -1], [0.5]]) {
        assertThrows(() => generation.gather(lanes), RangeError, "Cannot gather lanes");
      }
      await assertRejects(() => generation.decode(), TypeError, "Cannot decode");
      await run(model, generation, { lanes, to: 7 });
      using tokens = device.allocate(2);
      assertThrows(() => generation.accept(tokens), RangeError, "all 7 scales are done");
      await assertRejects(() => generation.logits(), RangeError, "all 7 scales are done");
      using picture = await generation.decode();
      assertEquals([picture.width, picture.height], [16, 16]);
    }
    assertEquals(device.counters.liveArrays, liveArrays);
    await model[Symbol.asyncDispose]();
    assertEquals(device.counters.liveArrays, atFirst);
  },
);

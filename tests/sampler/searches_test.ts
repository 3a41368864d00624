/**
 * Searches with several lanes on every family: VAR, FlexVAR, Infinity, and one of a program of its own. What
 * became of each lane is held against what a hook beside the search has seen.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { type Device, type DeviceKind, readWords } from "../../kernels/device/device.ts";
import { registerFamily } from "../../models/families.ts";
import { loadModel } from "../../models/load.ts";
import type { Model } from "../../models/model.ts";
import { costOf } from "../../sampler/planned_cost.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { beamSearch } from "../../sampler/methods/beam_search.ts";
import { bestOfN } from "../../sampler/methods/best_of.ts";
import { latentFeatures } from "../../sampler/methods/latent_features.ts";
import { ownDensity } from "../../sampler/methods/own_density.ts";
import { ownEvidence } from "../../sampler/methods/own_evidence.ts";
import { verifierOf } from "../../sampler/methods/own_verifier.ts";
import { ttsVar } from "../../sampler/methods/tts_var.ts";
import { varScaling } from "../../sampler/methods/var_scaling.ts";
import type { Attempt, GeneratedImage, GenerateResult } from "../../sampler/result.ts";
import { hasGpu, requireGpu, sharedGpu } from "../devices.ts";
import { flexVarCheckpoints } from "../models/flexvar/checkpoints.ts";
import { checkpoint } from "../other_family/checkpoint.ts";
import { BITS, MOSAIC } from "../other_family/mosaic.ts";
import { sharedModel } from "./models.ts";

registerFamily(MOSAIC);

/** A family's model, and two of its labels. */
interface Subject {
  readonly labels: readonly [number, number] | readonly [string, string];
  /** Devices that it runs on. */
  readonly kinds?: readonly DeviceKind[];
  /** Which searches, if not all, as some models take their time. */
  readonly searches?: readonly string[];
  load(kind: DeviceKind): Promise<Model>;
}

const deviceOf = async (kind: DeviceKind): Promise<Device> =>
  kind === "cpu" ? new CpuDevice() : await sharedGpu();

const SUBJECTS: Readonly<Record<string, Subject>> = {
  VAR: { labels: [1, 3], load: (kind) => sharedModel("tiny", kind) },
  FlexVAR: {
    labels: [1, 2],
    load: async (kind) => await loadModel(await flexVarCheckpoints(), { device: await deviceOf(kind) }),
  },
  Infinity: {
    labels: ["a red cube", "two blue cones"],
    searches: ["TTS-VAR", "best of 3 by evidence"],
    load: (kind) => sharedModel("texts", kind),
  },
  Mosaic: {
    labels: ["a cat", "ships"],
    kinds: ["cpu"],
    load: async (kind) => {
      const net = await checkpoint("colors.weight", [3, BITS], 12.9898);
      const text = await checkpoint("letters.weight", [128, BITS], 78.233);
      return await loadModel({ net, text }, { device: await deviceOf(kind) });
    },
  },
};

const KINDS: readonly DeviceKind[] = ["cpu", "webgpu"];

/** Judges pictures by their first pixel. */
const REDDISH = verifierOf({ name: "reddish", score: (images) => images.map(({ data }) => data[0]!) });

/** Every search, and VAR-Scaling with one of them. */
function searches(model: Model): Readonly<Record<string, readonly ScaleHook[]>> {
  const scales = model.schedule({}).scales.length;
  const between = Array.from({ length: scales - 3 }, () => 4);
  const schedule = {
    sizes: [6, ...between, 2, 2],
    clusterScales: [1],
    // Where there are few scales, one of them is for clusters alone.
    resampleScales: [scales - 2],
  };
  const density = ownDensity({ samples: 10 });
  return {
    "best of 3": [bestOfN({ samples: 3, verifier: REDDISH, keep: 2 })],
    "beam": [beamSearch({ beams: 2, width: 2, verifier: density })],
    "TTS-VAR": [ttsVar({ ...schedule, verifier: REDDISH, draw: "multinomial" })],
    "TTS-VAR of VAR-Scaling": [
      varScaling({ scale: 1, samples: 4, representatives: 2 }),
      ttsVar({ ...schedule, verifier: density, features: latentFeatures({ side: 2 }) }),
    ],
    ...(model.tokens.evidence &&
      { "best of 3 by evidence": [bestOfN({ samples: 3, verifier: ownEvidence() })] }),
  };
}

/** Which lanes there are after each scale, and the tokens of those before: scale, image, lane. */
class Witness {
  readonly after: Map<number, readonly number[]>[] = [];
  readonly tokens: Map<string, readonly number[]>[] = [];

  get hooks(): readonly [ScaleHook, ScaleHook] {
    return [{
      name: "sees tokens",
      gather: async (step) => {
        const words = await readWords(step.tokens!);
        const { lanes } = step;
        const length = words.length / lanes.length;
        const seen = lanes.map(({ image, lane }, row) => {
          return [`${image} ${lane}`, [...words.subarray(row * length, (row + 1) * length)]] as const;
        });
        this.tokens[step.scale] = new Map([...this.tokens[step.scale] ?? [], ...seen]);
        return undefined;
      },
    }, {
      name: "sees lanes",
      gather: (step) => {
        const images = Map.groupBy(step.lanes, ({ image }) => image);
        const seen = [...images].map(([image, lanes]) => {
          return [image, lanes.map(({ lane }) => lane).sort((a, b) => a - b)] as const;
        });
        this.after[step.scale] = new Map([...this.after[step.scale] ?? [], ...seen]);
        return undefined;
      },
    }];
  }
}

/** Lanes of an image after a scale, by what became of its attempts. */
function lanesAfter(attempts: readonly Attempt[], scale: number): number[] {
  return attempts
    .filter(({ from, dropped }) => (from?.scale ?? -1) <= scale && (dropped?.scale ?? Infinity) > scale)
    .map(({ lane }) => lane)
    .sort((a, b) => a - b);
}

/** The attempt that drew the tokens of a scale for an image. */
function painter({ attempts, attempt }: GeneratedImage, scale: number): Attempt {
  let found = attempts[attempt]!;
  while (found.from !== undefined && scale <= found.from.scale) found = attempts[found.from.attempt]!;
  return found;
}

/** All of a result but its pictures, of which a GPU may round a level by the size of a batch. */
function storyOf({ images }: GenerateResult): unknown[] {
  return images.map(({ index, lane, tokens, attempts }) => ({ index, lane, tokens, attempts }));
}

function assertSamePixels(a: GenerateResult, b: GenerateResult, name: string): void {
  for (const [i, { data }] of a.images.entries()) {
    const differences = data.map((level, byte) => Math.abs(level - b.images[i]!.data[byte]!));
    assert(differences.every((difference) => difference <= 1), `${name}: pictures differ`);
  }
}

for (const [family, { labels, kinds = KINDS, load, ...subject }] of Object.entries(SUBJECTS)) {
  for (const kind of kinds) {
    Deno.test({
      name: `generate: searches on ${family}: lineage, cost and independence of the batch [${kind}]`,
      ignore: kind === "webgpu" && !hasGpu && !requireGpu,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        const model = await load(kind);
        const request = { labels: labels as readonly string[], seed: 5 };
        await generate(model, request);
        const { liveArrays } = model.device.counters;
        for (const [name, hooks] of Object.entries(searches(model))) {
          if (subject.searches?.includes(name) === false) continue;
          const witness = new Witness();
          const [first, last] = witness.hooks;
          const together = await generate(model, { ...request, hooks: [first, ...hooks, last], batch: 64 });
          for (const image of together.images) {
            const { index, attempts, tokens } = image;
            assertEquals(attempts.map(({ attempt }) => attempt), [...attempts.keys()], name);
            for (const [scale, lanes] of witness.after.entries()) {
              assertEquals(lanesAfter(attempts, scale), lanes.get(index), `${name}, scale ${scale}`);
              const { lane } = painter(image, scale);
              assertEquals([...tokens[scale]!], witness.tokens[scale]!.get(`${index} ${lane}`), name);
            }
          }
          const apart = await generate(model, { ...request, hooks, batch: 1 });
          assertEquals(storyOf(apart), storyOf(together), name);
          assertSamePixels(apart, together, name);
          const { peakBytes: _, seconds: _seconds, ...cost } = apart.trace.cost;
          const { ratio, ...planned } = await costOf(model, { ...request, hooks, batch: 1 });
          assertEquals(cost, planned, name);
          assert(ratio === undefined || ratio >= 1);
        }
        assertEquals(model.device.counters.liveArrays, liveArrays, "arrays left behind");
      },
    });
  }
}

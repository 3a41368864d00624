/**
 * Somebody who paints at once: a picture is a dot whose color is its seed, its number and its prompt, so that
 * tests of a server see who got what, and say when.
 *
 * @module
 */

import type { HostedEvent, HostedFacts, HostedJob } from "../../../cli/hosting/hosted_job.ts";
import { UsageError } from "../../../cli/io.ts";
import { RgbaImage } from "../../../mod.ts";

/** What is known of a model of classes that does not exist. */
export const FACTS: HostedFacts = {
  ...{
    name: "fake",
    family: "var",
    location: "memory:fake",
    place: { folder: "fake" },
    size: 4,
    dtype: "f32",
  },
  device: { kind: "cpu", name: "CPU", cpuProvider: "wasm", provider: "wasm" },
  labels: { kind: "classes", names: ["red", "green", "wrong"], count: 3 },
  patchNumbers: [1, 2, 3, 4],
  scales: [1, 2, 3, 4].map((side) => ({ width: side, height: side, picture: { width: 8, height: 8 } })),
  pictureSize: { width: 8, height: 8 },
  ...{ flexible: [], familyOptions: [], encodes: false, decodes: true, verifier: true, extractor: false },
  defaults: { cfg: 1.5, guidance: "ramp", topK: 900, topP: 0.96, minP: 0, temperature: 1 },
  search: {
    ...{ scale: 1, samples: 50, representatives: 10, strategy: "var-scaling", pick: "density" },
    ...{ alpha: 1.7, conflictThreshold: 0.5 },
  },
  ...{ weightBytes: 1, loading: 1 },
};

/** The picture of a seed, a number and a prompt. */
export function dot(seed: number | bigint, index: number, prompt: string): Uint8Array<ArrayBuffer> {
  const image = new RgbaImage(1, 1);
  image.data.set([Number(seed) % 256, index % 256, prompt.length, 255]);
  return image.png();
}

/** Paints dots. */
export class FakePainter {
  /** All that was asked for. */
  readonly jobs: HostedJob[] = [];
  /** Jobs that were aborted. */
  aborted = 0;
  /** Painting waits for it after a job has begun. */
  gate: Promise<void> | undefined;
  /** Called when a job has begun. */
  onBegun: () => void = () => {};

  /** Does a job. */
  async *generate(
    job: HostedJob,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<HostedEvent, void, void> {
    this.jobs.push(job);
    const { labels, indices = [], options: { seed = 0, preview } } = job;
    if (labels.includes("wrong")) throw new UsageError('Cannot find the class "wrong" in the model "fake"');
    const picture = { width: 8, height: 8 };
    yield { type: "begun", images: labels.length, picture, scales: 4, notes: [] };
    this.onBegun();
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const end = () => reject(signal.reason);
    signal.addEventListener("abort", end);
    try {
      signal.throwIfAborted();
      await Promise.race([ended, this.gate]);
    } catch (error) {
      this.aborted++;
      yield { type: "aborted" };
      throw error;
    } finally {
      signal.removeEventListener("abort", end);
      ended.catch(() => {});
    }
    if (labels.includes("broken")) throw new Error("the device is on fire");
    const places = labels.map((label, place) => {
      const png = dot(seed, indices[place]!, label!);
      return { place, index: indices[place]!, lane: 0, caption: `${label}`, label: label!, ...picture, png };
    });
    for (const scale of Array.isArray(preview) ? preview as number[] : []) {
      yield { type: "preview", batch: 0, scale: scale + 4, images: places };
    }
    for (const { label, ...place } of places) {
      yield {
        ...{ type: "image", ...place, file: "dot.png", label: { id: 0, name: label }, seed, sha256: "" },
        ...{ tokens: [], decisions: [], attempt: 0, attempts: [] },
      };
    }
  }
}

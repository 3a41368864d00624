/**
 * Watches VAR-Scaling choose: the candidates of a scale in the plane of their principal axes, their
 * densities, and what was decided. The hook does what it does without being watched; each scale on which it
 * searches costs further readbacks.
 *
 * @module
 */

import { readFloats, readWords, type ScaleHook, type ScaleStep, type VarScalingDecision } from "../../mod.ts";
import { principalPlane } from "./principal_plane.ts";
import type { HostedCandidatesEvent } from "./hosted_job.ts";

/** What a step gives and takes. */
type DeviceArray = ReturnType<ScaleStep["draw"]>;

/** What the hook did on a scale. */
interface Seen {
  candidates?: { readonly tokens: DeviceArray; readonly count: number };
  densities?: DeviceArray;
  report?: {
    readonly array: DeviceArray;
    readonly length: number;
    readonly read: (words: Uint32Array) => unknown;
  };
}

/** Collects what hooks of VAR-Scaling had to choose from. */
export class CandidateWatch {
  #events: HostedCandidatesEvent[] = [];

  /** The same hook, watched, if it is VAR-Scaling's. */
  watching(hook: ScaleHook): ScaleHook {
    const { choose } = hook;
    if (hook.name !== "var-scaling" || choose === undefined) return hook;
    return {
      ...hook,
      choose: async (step) => {
        const seen: Seen = {};
        await choose.call(hook, witness(step, seen));
        this.#events.push(...await candidatesOf(step, seen));
      },
    };
  }

  /** What was seen since it was last taken. */
  take(): HostedCandidatesEvent[] {
    return this.#events.splice(0);
  }
}

/** The step, but what is drawn, measured and reported is noted. */
function witness(step: ScaleStep, seen: Seen): ScaleStep {
  return new Proxy(step, {
    get(_, name) {
      const value: unknown = Reflect.get(step, name, step);
      if (typeof value !== "function") return value;
      return (...args: readonly unknown[]) => {
        const result = Reflect.apply(value, step, args);
        if (name === "draw") {
          seen.candidates = { tokens: result as DeviceArray, count: args[0] as number };
        } else if (name === "density" || name === "expectedDensity") {
          seen.densities = result as DeviceArray;
        } else if (name === "report") {
          const [array, length, read] = args as [DeviceArray, number, (words: Uint32Array) => unknown];
          seen.report = { array, length, read };
        }
        return result;
      };
    },
  });
}

/** What there was to choose from, for each lane; nothing where the scale is kept as a whole. */
async function candidatesOf(step: ScaleStep, seen: Seen): Promise<HostedCandidatesEvent[]> {
  const { candidates, densities, report } = seen;
  if (candidates === undefined || densities === undefined || report === undefined) return [];
  const { model, device, positions, scale, lanes } = step;
  const { tokens, count } = candidates;
  const { channels } = model.tokens;
  const length = positions * channels;
  using output = device.allocate(lanes.length * count * length, "vectors of candidates");
  model.tokens.vectors(device, { tokens, output, maps: lanes.length * count, positions });
  const vectors = await readFloats(output);
  const scores = await readFloats(densities);
  const words = await readWords(report.array);
  return lanes.map(({ image: place, index, lane }, row): HostedCandidatesEvent => {
    const own = vectors.subarray(row * count * length, (row + 1) * count * length);
    const decision = report.read(
      words.slice(row * report.length, (row + 1) * report.length),
    ) as VarScalingDecision;
    return {
      ...{ type: "candidates", place, index, lane, scale },
      points: principalPlane(own, count, length),
      densities: scores.slice(row * count, (row + 1) * count),
      kept: Uint32Array.from(decision.kept, ({ candidate }) => candidate),
      chosen: decision.chosen,
      threshold: decision.alpha * decision.mean,
      decision,
    };
  });
}

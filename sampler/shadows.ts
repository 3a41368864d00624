/**
 * Generations that run beside that of a batch: fed the same tokens, with embeddings moved from position to
 * position, so that hooks can tell what the model makes of a prefix that is not quite right. What becomes of
 * their logits is left to the hooks.
 *
 * @module
 */

import type { DeviceArray } from "../kernels/device/device.ts";
import type { Generation } from "../models/model.ts";
import type { MapSize } from "../models/schedule.ts";
import type { Batch } from "./batch.ts";
import type { CostCounter } from "./cost.ts";
import type { ShadowOptions } from "./shadow_options.ts";

/** What {@linkcode Shadows} are made of. */
export interface ShadowsParts {
  readonly batch: Batch;
  readonly cost: CostCounter;
  /** Sizes of the scales. */
  readonly scales: readonly MapSize[];
  /** Starts a generation of the batch's lanes as they are now. */
  readonly start: () => Promise<Generation>;
}

/** A generation beside that of the batch, and how many scales it has gone through. */
interface Shadow {
  readonly generation: Generation;
  /** Scales whose tokens it has accepted. */
  done: number;
  /** Whether it has the caches of the next scale already, and waits for its tokens. */
  open: boolean;
}

/** The shadows of one batch, one for each hook that asks. Disposing frees them. */
export class Shadows implements Disposable {
  readonly #parts: ShadowsParts;
  readonly #shadows = new Map<string, Shadow>();

  /** @param parts Whose shadows they are. */
  constructor(parts: ShadowsParts) {
    this.#parts = parts;
  }

  /**
   * Raw logits of a scale by the shadow of a hook, which are the caller's: conditional rows and, guided,
   * unconditional ones.
   */
  async logits(owner: string, scale: number, options: ShadowOptions): Promise<DeviceArray> {
    const known = this.#shadows.get(owner);
    // A shadow whose scale is open has no way back, so it is not asked twice in one scale either.
    if (known !== undefined && (options.fresh || known.open)) {
      known.generation[Symbol.dispose]();
      this.#shadows.delete(owner);
    }
    const shadow = this.#shadows.get(owner) ??
      { generation: await this.#parts.start(), done: 0, open: false };
    this.#shadows.set(owner, shadow);
    while (shadow.done < scale) {
      using _passed = await this.#run(shadow, shadow.done, options);
      // Every scale before has ended.
      using tokens = this.#parts.batch.tokensOf(shadow.done)!;
      shadow.generation.accept(tokens);
      shadow.done++;
    }
    const logits = await this.#run(shadow, scale, options);
    shadow.open = true;
    return logits;
  }

  /** A scale of the batch has ended with these tokens. */
  accept(tokens: DeviceArray): void {
    for (const shadow of this.#shadows.values()) {
      if (!shadow.open) continue;
      shadow.generation.accept(tokens);
      shadow.done++;
      shadow.open = false;
    }
  }

  /** Goes on with these lanes. */
  gather(order: readonly number[]): void {
    for (const { generation } of this.#shadows.values()) generation.gather(order);
  }

  /** Frees them. */
  [Symbol.dispose](): void {
    for (const { generation } of this.#shadows.values()) generation[Symbol.dispose]();
    this.#shadows.clear();
  }

  async #run({ generation }: Shadow, scale: number, { sources }: ShadowOptions): Promise<DeviceArray> {
    const { scales, batch, cost } = this.#parts;
    const { width, height } = scales[scale]!;
    const lanes = batch.lanes.length;
    const logits = await generation.logits({ sources: sources?.({ scale, width, height, lanes }) });
    cost.pass(scale, lanes);
    return logits;
  }
}

/**
 * What a worker does with the parts that it takes: they are made in a process of its own, which is kept as
 * long as they are of one run, so that its model is loaded once.
 *
 * @module
 */

import { duration } from "../output/units.ts";
import { plural } from "../output/words.ts";
import { ShardChild } from "./shard_child.ts";
import type { DeviceArguments, ShardOutcome } from "./shard_messages.ts";
import type { TakenShard } from "./shard_queue.ts";

/** How parts are made here. */
export interface WorkerOptions {
  /** What this machine says of its device. */
  readonly device: DeviceArguments;
  /** The folder in which paths mean something, if it is another one here. */
  readonly from: string | undefined;
  /** What is worth telling. */
  readonly tell: (sentence: string) => void;
}

/** Makes parts, one at a time. */
export class ShardWorker implements AsyncDisposable {
  readonly #options: WorkerOptions;
  #child: ShardChild | undefined;
  #key = "";
  #givesBack = false;

  /** @param options How. */
  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  /** Makes a part; `undefined` if it is to be given back. */
  async make({ series, shard, output }: TakenShard): Promise<ShardOutcome | undefined> {
    if (this.#givesBack) return undefined;
    const { device, from, tell } = this.#options;
    const folder = from ?? series.folder;
    const name = `shard ${shard.part}/${shard.parts} of ${output}`;
    if (!await Deno.stat(folder).then(({ isDirectory }) => isDirectory, () => false)) {
      const message = `The folder ${folder}, in which the run was added, is not on this machine; see --from`;
      tell(`${name}: ${message}`);
      return { kind: "refused", message };
    }
    const opening = { args: series.args, folder, device };
    const key = JSON.stringify(opening);
    if (this.#child?.ended || key !== this.#key) await this.#drop();
    if (this.#child === undefined) {
      this.#child = ShardChild.start(opening, tell);
      tell(`process ${this.#child.pid} computes`);
    }
    this.#key = key;
    const begun = performance.now();
    const outcome = await this.#child.make(shard);
    // Whatever went wrong, the next part begins with a process in which it did not.
    if (outcome.kind === "failed" || outcome.kind === "refused") await this.#drop();
    if (this.#givesBack && outcome.kind !== "done") {
      tell(`${name}: given back`);
      return undefined;
    }
    tell(
      outcome.kind === "done"
        ? `${name}: ${outcome.made} of ${plural(outcome.images, "image")} made in ${
          duration(performance.now() - begun)
        }`
        : `${name}: ${outcome.message}`,
    );
    return outcome;
  }

  /** Ends what is at work, which is then given back; so is what is taken later. */
  async giveBack(): Promise<void> {
    this.#givesBack = true;
    await this.#drop();
  }

  /** Ends the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#drop();
  }

  async #drop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    await child?.end();
  }
}

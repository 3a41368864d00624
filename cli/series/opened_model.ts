/**
 * The model of a long run, which outlives the loss of its device.
 *
 * @module
 */

import type { Model } from "../../mod.ts";

/** The model of a run, which another one can take the place of. */
export class OpenedModel implements AsyncDisposable {
  #model: Model;

  constructor(model: Model) {
    this.#model = model;
  }

  get model(): Model {
    return this.#model;
  }

  /** Unloads the model, which may be beyond that, and loads another one. */
  async replace(open: () => Promise<Model>): Promise<Model> {
    await Promise.resolve(this.#model[Symbol.asyncDispose]()).catch(() => {});
    return this.#model = await open();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model[Symbol.asyncDispose]();
  }
}

/**
 * The model of a long run, which outlives the loss of its device.
 *
 * @module
 */

import type { Model } from "../../mod.ts";

/** A model that another one can take the place of. */
export class OpenedModel implements AsyncDisposable {
  readonly #open: () => Promise<Model>;
  #model: Model;

  private constructor(open: () => Promise<Model>, model: Model) {
    this.#open = open;
    this.#model = model;
  }

  /** Loads a model; `open` is called again whenever it has to be replaced. */
  static async open(open: () => Promise<Model>): Promise<OpenedModel> {
    return new OpenedModel(open, await open());
  }

  /** The model as it is now. */
  get model(): Model {
    return this.#model;
  }

  /** Unloads the model, which may be beyond that, and loads it anew. */
  async reopen(): Promise<Model> {
    await Promise.resolve(this.#model[Symbol.asyncDispose]()).catch(() => {});
    return this.#model = await this.#open();
  }

  /** Unloads the model. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model[Symbol.asyncDispose]();
  }
}

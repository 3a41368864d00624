/**
 * How long the pictures of a row take, found out with a few of them before a sweep begins: what costs
 * operations from the speed of plain pictures, what costs none, as VAR-Scaling, on the clock.
 *
 * @module
 */

import type { Label, Model } from "../../models/mod.ts";
import { generate, type GenerateRequest, varScaling } from "../../sampler/mod.ts";
import { partsOf } from "./methods.ts";
import type { PreparedRow } from "./prepared_row.ts";

/** The speed of a model here and now. */
export class Speed {
  readonly #model: Model;
  readonly #request: GenerateRequest;
  readonly #known = new Map<string, Promise<number>>();

  /**
   * @param model The model.
   * @param request Some pictures, which are painted for each measurement.
   */
  constructor(model: Model, request: GenerateRequest & { readonly labels: readonly Label[] }) {
    this.#model = model;
    this.#request = request;
  }

  /** Seconds that a picture of a row takes. */
  async secondsOf({ row: { id, method }, hooks, request, flops, plainFlops }: PreparedRow): Promise<number> {
    const { scaled, search } = partsOf(method);
    const plain = await this.#time("plain", {});
    if (scaled && search === undefined) return await this.#time(id, { ...request, hooks });
    const slower = scaled ? await this.#time("var-scaling", { hooks: [varScaling()] }) / plain : 1;
    return plain * slower * flops / plainFlops;
  }

  /** Seconds of a picture, the second time where nothing has run before. */
  #time(name: string, request: GenerateRequest): Promise<number> {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const first = this.#known.size === 0;
    const measured = (async () => {
      const paint = async (): Promise<number> => {
        const { images, trace } = await generate(this.#model, { ...this.#request, ...request });
        return trace.total / 1000 / images.length;
      };
      if (first) await paint();
      return await paint();
    })();
    this.#known.set(name, measured);
    return measured;
  }
}

/**
 * The model of the studio: opened while the page is there already, told when it is, and tried again when
 * somebody asks for that. How a model is hosted is left to `cli/hosting/`.
 *
 * @module
 */

import type { HostedEvent, HostedFacts, HostedJob } from "../hosting/hosted_job.ts";
import { describeDevice } from "../options/model_options.ts";
import { methodForms, optionSections } from "./option_forms.ts";
import type { ModelFacts, ModelState } from "./protocol.ts";

/** What the studio needs of a hosted model. */
export interface Painter extends AsyncDisposable {
  readonly facts: HostedFacts;
  generate(job: HostedJob, options: { readonly signal: AbortSignal }): AsyncGenerator<HostedEvent>;
}

/** Opens a model. */
export type OpenPainter = (
  hooks: { onNotice(line: string): void; readonly signal: AbortSignal },
) => Promise<Painter>;

/** Lines of what is said while a model is opened, at the most. */
const NOTICES = 20;

/** A model that may not be there yet. */
export class ModelKeeper implements AsyncDisposable {
  readonly #open: OpenPainter;
  readonly #onChange: (state: ModelState) => void;
  readonly #ended = new AbortController();
  #state: ModelState = { state: "loading", notices: [] };
  #painter: Promise<Painter>;

  /**
   * Begins to open a model.
   *
   * @param open Opens it.
   * @param onChange Is told what becomes of it.
   */
  constructor(open: OpenPainter, onChange: (state: ModelState) => void) {
    this.#open = open;
    this.#onChange = onChange;
    this.#painter = this.#load();
  }

  /** How it is. */
  get state(): ModelState {
    return this.#state;
  }

  /** The model, once it is there; throws what opening it threw. */
  get painter(): Promise<Painter> {
    return this.#painter;
  }

  /** Tries again, if it could not be opened. */
  retry(): void {
    if (this.#state.state !== "failed") return;
    this.#change({ state: "loading", notices: [] });
    this.#painter = this.#load();
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    const painter = await this.#painter.catch(() => undefined);
    await painter?.[Symbol.asyncDispose]();
  }

  #load(): Promise<Painter> {
    const loading = this.#loadOnce();
    // Whoever waits for it is told; if nobody does, the page is.
    loading.catch(() => {});
    return loading;
  }

  async #loadOnce(): Promise<Painter> {
    const { signal } = this.#ended;
    try {
      const painter = await this.#open({
        signal,
        onNotice: (line) => {
          if (this.#state.state !== "loading") return;
          this.#change({ state: "loading", notices: [...this.#state.notices, line].slice(-NOTICES) });
        },
      });
      this.#change({ state: "ready", facts: factsOf(painter.facts) });
      return painter;
    } catch (error) {
      const notices = this.#state.state === "ready" ? [] : this.#state.notices;
      this.#change({
        state: "failed",
        notices,
        message: error instanceof Error ? error.message : `${error}`,
      });
      throw error;
    }
  }

  #change(state: ModelState): void {
    this.#state = state;
    this.#onChange(state);
  }
}

function factsOf(facts: HostedFacts): ModelFacts {
  const { name, family, labels, defaults, search, device, dtype, encodes, familyOptions, flexible } = facts;
  return {
    name,
    family,
    device: describeDevice(device),
    ...(dtype === undefined ? {} : { dtype }),
    labels: labels.kind === "classes"
      ? { kind: "classes", names: Array.from({ length: labels.count }, (_, i) => labels.names[i] ?? `${i}`) }
      : { kind: "texts" },
    encodes,
    sections: optionSections([...familyOptions, ...flexible], { ...defaults, ...search }),
    methods: methodForms(),
  };
}

/**
 * A notebook for tests: what Deno's kernel puts into `Deno.jupyter`, which keeps what it is given. The real
 * one is in `tests/tools/notebooks/`.
 *
 * @module
 */

/** A message as a frontend gets it. */
export interface Shown {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly id: string;
}

/** Has work done as in a notebook's cell, and returns what was shown. */
export async function inNotebook(work: (shown: readonly Shown[]) => Promise<void>): Promise<Shown[]> {
  const shown: Shown[] = [];
  const display = Symbol.for("Jupyter.display");
  const frontend = {
    async broadcast(type: string, content: Shown & { transient: { display_id: string } }): Promise<void> {
      await Promise.resolve();
      shown.push({ type, data: content.data, id: content.transient.display_id });
    },
    format: async (value: Record<symbol, () => unknown>): Promise<unknown> => await value[display]!(),
  };
  // A process that is no kernel has a getter here that throws, and a setter.
  (Deno as { jupyter?: unknown }).jupyter = frontend;
  try {
    await work(shown);
  } finally {
    (Deno as { jupyter?: unknown }).jupyter = undefined;
  }
  return shown;
}

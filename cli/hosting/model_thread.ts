/**
 * The thread of a model: takes what `hosted_model.ts` sends, has it done one job after the other, and sends
 * back what happens. It is loaded as a worker, never imported.
 *
 * @module
 */

import { JobRunner } from "./job_runner.ts";
import { type FromThread, sentError, type ToThread, transferred } from "./thread_messages.ts";

/** What a worker has instead of a page. */
const thread = globalThis as unknown as {
  postMessage(message: FromThread, transfer?: Transferable[]): void;
  onmessage: ((event: { readonly data: ToThread }) => void) | null;
};

const ending = new AbortController();
let runner: Promise<JobRunner> | undefined;
/** The end of what was sent before: what is sent next waits for it. */
let work: Promise<void> = Promise.resolve();
/** What ends each job that is not done. */
const jobs = new Map<number, AbortController>();

const io = {
  out: () => {},
  // Each line is one notice; who began it is said by whoever shows it.
  err: (text: string) => {
    const line = text.replace(/^varscale: /, "").trimEnd();
    if (line !== "") thread.postMessage({ type: "notice", line });
  },
  terminal: false,
  signal: ending.signal,
};

thread.onmessage = ({ data }) => {
  switch (data.type) {
    case "open":
      runner = JobRunner.open(data.options, io);
      work = runner.then(
        ({ facts }) => thread.postMessage({ type: "opened", facts }),
        (error) => thread.postMessage({ type: "failed", error: sentError(error) }),
      );
      break;
    case "generate": {
      const { job, work: wanted } = data;
      const controller = new AbortController();
      jobs.set(job, controller);
      work = work.then(async () => {
        try {
          for await (const event of (await runner!).run(wanted, controller.signal)) {
            thread.postMessage({ type: "event", job, event }, transferred(event));
          }
          thread.postMessage({ type: "ended", job });
        } catch (error) {
          thread.postMessage({ type: "ended", job, error: sentError(error) });
        } finally {
          jobs.delete(job);
        }
      });
      break;
    }
    case "abort":
      jobs.get(data.job)?.abort();
      break;
    case "close":
      for (const controller of jobs.values()) controller.abort();
      ending.abort();
      work = work.then(async () => {
        try {
          await (await runner)?.[Symbol.asyncDispose]();
        } finally {
          thread.postMessage({ type: "closed" });
        }
      });
  }
};

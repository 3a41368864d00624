/**
 * A thread that loads nothing: it does the first job that is asked for by ending on its own, with an error
 * that nobody catches, as a thread does that has no memory left.
 *
 * @module
 */

const thread = globalThis as unknown as {
  postMessage(message: unknown): void;
  onmessage: ((event: { readonly data: { readonly type: string } }) => void) | null;
};

thread.onmessage = ({ data }) => {
  if (data.type === "open") thread.postMessage({ type: "opened", facts: { name: "odd" } });
  if (data.type === "generate") throw new Error("no memory left");
  if (data.type === "close") thread.postMessage({ type: "closed" });
};

// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The page's connection to its server: events that go on after a loss, and what is asked for.
 *
 * @module
 */

/**
 * @typedef {import("../protocol.ts").JobForm} JobForm
 * @typedef {import("../protocol.ts").JobEvent} JobEvent
 * @typedef {import("../protocol.ts").StudioEvent} StudioEvent
 */

/** The name of this tab, which outlives a reload. */
const session = (() => {
  const key = "varscale-tab";
  const name = sessionStorage.getItem(key) ?? crypto.randomUUID();
  sessionStorage.setItem(key, name);
  return name;
})();

/**
 * Listens to the server. The browser comes back by itself when the connection is lost, and the server goes on
 * where it was.
 *
 * @param {(event: StudioEvent) => void} onEvent
 * @param {(connection: "open" | "lost" | "refused") => void} onConnection
 */
export function listen(onEvent, onConnection) {
  const source = new EventSource(`/events?session=${session}`);
  source.addEventListener("open", () => onConnection("open"));
  source.addEventListener("error", () => {
    onConnection(source.readyState === EventSource.CLOSED ? "refused" : "lost");
  });
  source.addEventListener("message", ({ data }) => {
    const event = /** @type {StudioEvent} */ (JSON.parse(data));
    if (event.type === "bye") source.close();
    onEvent(event);
  });
}

/**
 * Asks the server; what it refuses is thrown with its words.
 *
 * @param {string} method
 * @param {string} path
 * @param {BodyInit | object} [body] An object is sent as JSON.
 * @returns {Promise<any>}
 */
async function ask(method, path, body) {
  const isJson = body !== undefined && !(body instanceof Blob);
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, {
      method,
      ...(body !== undefined && { body: isJson ? JSON.stringify(body) : body }),
      ...(isJson && { headers: { "content-type": "application/json" } }),
    });
  } catch {
    throw new Error("The studio does not answer: is it still running?");
  }
  const content = await response.json();
  if (!response.ok) throw new Error(content.message);
  return content;
}

/** Starts a job. @param {JobForm} form @returns {Promise<{ job: string }>} */
export function submit(form) {
  return ask("POST", "/jobs", { session, form });
}

/** Starts the same job again. @param {string} repeats @returns {Promise<{ job: string }>} */
export function repeat(repeats) {
  return ask("POST", "/jobs", { session, repeats });
}

/** Ends a job. @param {string} job */
export async function abort(job) {
  await ask("POST", `/jobs/${job}/abort`);
}

/** Forgets an ended job. @param {string} job */
export async function forget(job) {
  await ask("DELETE", `/jobs/${job}`);
}

/** What has happened to a job. @param {string} job @returns {Promise<JobEvent[]>} */
export function eventsOf(job) {
  return ask("GET", `/jobs/${job}`);
}

/** Brings a picture and returns its address. @param {Blob} png @returns {Promise<string>} */
export async function bring(png) {
  const { href } = await ask("POST", "/pictures", png);
  return href;
}

/**
 * The form in a run.json, or in a picture that has its recipe.
 *
 * @param {File} file
 * @returns {Promise<{ form: JobForm, notes: string[] }>}
 */
export function recipeIn(file) {
  const type = file.name.endsWith(".json") ? "application/json" : file.type;
  return ask("POST", "/recipe", new Blob([file], { type }));
}

/** Has the model opened once more. */
export async function retryModel() {
  await ask("POST", "/model/retry");
}

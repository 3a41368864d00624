// @ts-check
/**
 * What the page knows, and how events change it: nothing here touches the document.
 *
 * @module
 */

/**
 * @typedef {import("../protocol.ts").StudioEvent} StudioEvent
 * @typedef {import("../protocol.ts").JobEvent} JobEvent
 * @typedef {import("../protocol.ts").JobForm} JobForm
 * @typedef {import("../protocol.ts").ModelState} ModelState
 * @typedef {import("../protocol.ts").HistoryEntry} HistoryEntry
 * @typedef {import("../protocol.ts").PictureFacts} PictureFacts
 * @typedef {Extract<JobEvent, { type: "scale" }>} ScaleFacts
 * @typedef {Extract<JobEvent, { type: "candidates" }>} Cloud
 * @typedef {Extract<JobEvent, { type: "tree" }>} Tree
 * @typedef {Extract<JobEvent, { type: "image" }>} Finished
 * @typedef {Extract<JobEvent, { type: "finished" }>} Summary
 */

/**
 * One way in which the images of a job are made, as far as it has come.
 *
 * @typedef {object} Part
 * @property {string} name
 * @property {readonly string[]} notes
 * @property {number} batch
 * @property {number} batches
 * @property {ScaleFacts[]} scales Those of the latest batch that are done.
 * @property {number} count How many scales there are, 0 if that is not known yet.
 * @property {{ scale: number, pictures: readonly PictureFacts[] }[]} previews
 * @property {Cloud[]} clouds
 * @property {Tree[]} trees
 * @property {Finished[]} finished
 * @property {Summary | undefined} summary
 */

/**
 * A job as far as it has come.
 *
 * @typedef {object} Job
 * @property {string} id
 * @property {string} title
 * @property {JobForm} form
 * @property {string | undefined} repeats
 * @property {"waiting" | "running" | "done" | "aborted" | "failed"} state
 * @property {number} ahead
 * @property {number} current The part that is made.
 * @property {Part[]} parts
 * @property {string | undefined} message
 * @property {{ images: number, same: number } | undefined} agreement
 */

/**
 * Everything that the page knows of the server.
 *
 * @typedef {object} State
 * @property {"opening" | "open" | "lost" | "refused" | "ended"} connection
 * @property {string} version
 * @property {ModelState} model
 * @property {Readonly<Record<string, Job>>} jobs
 * @property {string | undefined} latest The job of this tab that began last.
 * @property {readonly HistoryEntry[]} history The latest first.
 */

/** What a page knows at first. @type {State} */
export const NOTHING = {
  connection: "opening",
  version: "",
  model: { state: "loading", notices: [] },
  jobs: {},
  latest: undefined,
  history: [],
};

/**
 * What the page knows after an event.
 *
 * @param {State} state
 * @param {StudioEvent} event
 * @returns {State}
 */
export function after(state, event) {
  switch (event.type) {
    case "hello": {
      const { version, model, history, events } = event;
      const fresh = { ...NOTHING, connection: state.connection, version, model };
      const known = { ...fresh, history: [...history].reverse() };
      // Ended jobs that are looked at stay, as nothing happens to them any more.
      const ended = Object.values(state.jobs).filter(({ id, state }) => {
        return state !== "waiting" && state !== "running" && history.some(({ job }) => job === id);
      });
      const jobs = Object.fromEntries(ended.map((job) => [job.id, job]));
      return events.reduce(after, { ...known, jobs });
    }
    case "model":
      return { ...state, model: event.model };
    case "history": {
      const others = state.history.filter(({ job }) => job !== event.entry.job);
      return { ...state, history: [event.entry, ...others] };
    }
    case "forgotten":
      return { ...state, history: state.history.filter(({ job }) => job !== event.job) };
    case "bye":
      return { ...state, connection: "ended" };
    default: {
      const job = jobAfter(state.jobs[event.job], event);
      if (job === undefined) return state;
      const latest = event.type === "queued" ? job.id : state.latest;
      return { ...state, latest, jobs: { ...state.jobs, [job.id]: job } };
    }
  }
}

/**
 * A job of all its events.
 *
 * @param {readonly JobEvent[]} events
 * @returns {Job | undefined}
 */
export function jobOf(events) {
  return events.reduce(jobAfter, /** @type {Job | undefined} */ (undefined));
}

/**
 * What is known of a job after an event; nothing of a job whose beginning is not known.
 *
 * @param {Job | undefined} job
 * @param {JobEvent} event
 * @returns {Job | undefined}
 */
function jobAfter(job, event) {
  if (event.type === "queued") {
    const { job: id, title, form, parts, repeats } = event;
    return {
      ...{ id, title, form, repeats, state: "waiting", ahead: 0, current: 0 },
      parts: parts.map(newPart),
      message: undefined,
      agreement: undefined,
    };
  }
  if (job === undefined) return undefined;
  switch (event.type) {
    case "waiting":
      return { ...job, ahead: event.ahead };
    case "started":
      return { ...job, state: "running", ahead: 0 };
    case "ended":
      return { ...job, state: event.state, message: event.message, agreement: event.agreement };
    default: {
      const parts = job.parts.map((part, i) => i === event.part ? partAfter(part, event) : part);
      return { ...job, current: event.part, parts };
    }
  }
}

/**
 * @param {string} name
 * @returns {Part}
 */
function newPart(name) {
  return {
    ...{ name, notes: [], batch: 0, batches: 0, scales: [], count: 0 },
    ...{ previews: [], clouds: [], trees: [], finished: [], summary: undefined },
  };
}

/**
 * @param {Part} part
 * @param {Extract<JobEvent, { part: number }>} event
 * @returns {Part}
 */
function partAfter(part, event) {
  switch (event.type) {
    case "begun":
      return { ...part, notes: event.notes };
    case "batch":
      return { ...part, batch: event.batch, batches: event.batches, scales: [] };
    case "scale":
      return { ...part, count: event.scales, scales: [...part.scales, event] };
    case "preview": {
      const { scale, pictures } = event;
      return { ...part, previews: [...part.previews, { scale, pictures }] };
    }
    case "candidates":
      return { ...part, clouds: [...part.clouds, event] };
    case "tree":
      return { ...part, trees: [...part.trees, event] };
    case "image":
      return { ...part, finished: [...part.finished, event] };
    case "finished":
      return { ...part, summary: event };
  }
}

/**
 * Places of the images that there is anything to see of, in order.
 *
 * @param {Job} job
 * @returns {number[]}
 */
export function imagesOf({ parts }) {
  const numbers = parts.flatMap(({ finished, previews }) => [
    ...finished.map(({ picture }) => picture.place),
    ...previews.flatMap(({ pictures }) => pictures.map(({ place }) => place)),
  ]);
  return [...new Set(numbers)].sort((a, b) => a - b);
}

/**
 * What an image looks like after each of the scales that are done, and the pictures that came of it: of
 * several lanes, that which led to the first of them, or else the first.
 *
 * @param {Part} part
 * @param {number} place
 * @returns {{ scales: { scale: number, picture: PictureFacts }[], finished: Finished[] }}
 */
export function picturesOf({ previews, finished }, place) {
  const own = finished.filter(({ picture }) => picture.place === place);
  const scales = previews.flatMap(({ scale, pictures }) => {
    const lanes = pictures.filter((picture) => picture.place === place);
    const lane = lanes.find(({ lane }) => lane === own[0]?.picture.lane) ?? lanes[0];
    return lane === undefined ? [] : [{ scale, picture: lane }];
  });
  return { scales, finished: own };
}

/**
 * How much of a job is done, from 0 to 1.
 *
 * @param {Job} job
 * @returns {number}
 */
export function progressOf({ parts, state }) {
  if (state === "done") return 1;
  const shares = parts.map(({ batch, batches, scales, count, summary }) => {
    if (summary !== undefined) return 1;
    if (batches === 0 || count === 0) return 0;
    return (batch + scales.length / count) / batches;
  });
  return shares.reduce((sum, share) => sum + share, 0) / parts.length;
}

// @ts-check
/// <reference lib="dom" />
/**
 * The lanes of a search as a tree: scales across, lanes down, copies below the lane that they continue, with
 * what was decided about each.
 *
 * @module
 */

import { html } from "./view.js";
import { partTitle, reasonsAt } from "./words.js";

/**
 * @typedef {import("./state.js").Tree} Tree
 * @typedef {import("./state.js").Finished} Finished
 * @typedef {import("../protocol.ts").LaneFacts} LaneFacts
 */

/** Width and height of a cell, and of the picture in it. */
const CELL = { width: 104, height: 112 };
const EDGE = 72;
/** Height of the names of the scales. */
const HEAD = 22;
/** Width of what is said behind the last picture of a lane. */
const FATE = 130;

/**
 * @param {{ tree: Tree, finished: Finished | undefined }} props The tree, and the picture that came of it.
 */
export function Lanes({ tree, finished }) {
  const lanes = inOrder(tree.lanes);
  const rows = new Map(lanes.map(({ attempt }, row) => [attempt, row]));
  const leads = leadsOf(tree.lanes, finished?.attempt);
  const scales = 1 + Math.max(0, ...lanes.flatMap(({ pictures }) => pictures.map(({ scale }) => scale)));
  const width = scales * CELL.width + FATE;
  const height = HEAD + lanes.length * CELL.height;
  return html`
    <section class="lanes" aria-labelledby="lanes-title">
      <h3 id="lanes-title">${lanes.length} lanes</h3>
      <p class="hint">Scales go across and lanes down; a copy stands below the lane that it continues. Framed is
        what led to the picture.</p>
      <div class="scroll" tabindex="0" role="region" aria-label="Tree of lanes">
        <div class="tree" style=${{ width: `${width}px`, height: `${height}px` }}>
          <svg viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height} aria-hidden="true">
            ${lanes.flatMap((lane) => connections(lane, { rows, leads }))}
          </svg>
          ${Array.from({ length: scales }, (_, scale) =>
            html`
              <div class="scale-name" key=${scale} style=${{
                left: `${scale * CELL.width}px`,
              }}>scale ${scale}</div>
            `)}
          ${lanes.map((lane, row) =>
            html`<${Lane} key=${lane.attempt} lane=${lane} row=${row} leads=${
              leads.get(lane.attempt) ?? -1
            } isTaken=${lane.attempt === finished?.attempt} />`
          )}
        </div>
      </div>
    </section>
  `;
}

/** @param {{ lane: LaneFacts, row: number, leads: number, isTaken: boolean }} props */
function Lane({ lane, row, leads, isTaken }) {
  const { attempt, pictures, dropped, decisions } = lane;
  const top = `${HEAD + row * CELL.height}px`;
  const last = pictures.at(-1)?.scale ?? 0;
  const fate = dropped === undefined
    ? isTaken ? "this picture" : "finished, too"
    : `dropped by ${partTitle(dropped.hook)}`;
  const why = dropped === undefined ? [] : reasonsAt(decisions, dropped.scale);
  return html`
    ${pictures.map(({ scale, href, width, height }) => {
      const ends = dropped !== undefined && scale === last;
      const reasons = ends ? [] : reasonsAt(decisions, scale);
      return html`
        <div class=${`lane-picture${leads >= scale ? " leads" : ""}${ends ? " ends" : ""}`} key=${scale}
          style=${{ left: `${scale * CELL.width}px`, top }}>
          <img src=${href} alt=${`Lane ${attempt} after scale ${scale}`} width=${width} height=${height}
            loading="lazy" />
          <small>${reasons.join(", ")}</small>
        </div>
      `;
    })}
    <div class=${`fate${dropped === undefined ? isTaken ? " taken" : "" : " dropped"}`}
      style=${{ left: `${(last + 1) * CELL.width}px`, top }}>
      <b>${fate}</b>${why.map((reason) => html`<span key=${reason}>${reason}</span>`)}
    </div>
  `;
}

/**
 * Lanes with their copies below them, the latest first, so that no two lines cross.
 *
 * @param {readonly LaneFacts[]} lanes
 * @returns {LaneFacts[]}
 */
export function inOrder(lanes) {
  /** @type {(lane: LaneFacts) => LaneFacts[]} */
  const withCopies = (lane) => {
    const copies = lanes.filter(({ from }) => from?.attempt === lane.attempt)
      .sort((a, b) => (b.from?.scale ?? 0) - (a.from?.scale ?? 0) || a.attempt - b.attempt);
    return [lane, ...copies.flatMap(withCopies)];
  };
  return lanes.filter(({ from }) => from === undefined).flatMap(withCopies);
}

/**
 * The last scale at which each lane led to a picture, by the numbers of those that did.
 *
 * @param {readonly LaneFacts[]} lanes
 * @param {number | undefined} attempt The lane that the picture is of.
 * @returns {Map<number, number>}
 */
export function leadsOf(lanes, attempt) {
  const leads = new Map();
  for (let number = attempt, scale = Infinity; number !== undefined;) {
    leads.set(number, scale);
    /** @type {LaneFacts["from"]} */
    const from = lanes.find((lane) => lane.attempt === number)?.from;
    number = from?.attempt;
    scale = from?.scale ?? scale;
  }
  return leads;
}

/**
 * The lines of a lane: from the lane that it continues, and from each of its pictures to the next.
 *
 * @param {LaneFacts} lane
 * @param {{ rows: ReadonlyMap<number, number>, leads: ReadonlyMap<number, number> }} facts
 */
function connections({ attempt, from, pictures }, { rows, leads }) {
  const last = leads.get(attempt) ?? -1;
  const middle = (/** @type {number} */ row) => HEAD + row * CELL.height + EDGE / 2;
  const row = rows.get(attempt) ?? 0;
  const lines = pictures.slice(0, -1).map(({ scale }) =>
    html`
      <path key=${`${attempt}-${scale}`} class=${last > scale ? "leads" : ""}
        d=${`M${scale * CELL.width + EDGE} ${middle(row)}h${CELL.width - EDGE}`} />
    `
  );
  if (from === undefined) return lines;
  const x = from.scale * CELL.width + EDGE;
  const bend = (CELL.width - EDGE) / 2;
  const above = middle(rows.get(from.attempt) ?? 0);
  return [
    ...lines,
    html`
      <path key=${`${attempt}-from`} class=${last > from.scale ? "leads" : ""}
        d=${`M${x} ${above}h${bend}V${middle(row)}h${bend}`} />
    `,
  ];
}

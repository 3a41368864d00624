// @ts-check
/**
 * What a job took: milliseconds by scale, and what was computed.
 *
 * @module
 */

import { html } from "./view.js";
import { count, duration, partTitle } from "./words.js";

/** @typedef {import("./state.js").Job} Job */

/** What counts are called. @type {Readonly<Record<string, string>>} */
const COUNTS = {
  passes: "transformer passes",
  decodes: "decoded pictures",
  judged: "looks at lanes",
};

/** @param {{ job: Job }} props */
export function Details({ job }) {
  const finished = job.parts.filter(({ summary }) => summary !== undefined);
  if (finished.length === 0) return null;
  const most = Math.max(1, ...finished.flatMap(({ summary }) => summary?.scales ?? []));
  return html`
    <section class="details" aria-labelledby="details-title">
      <h3 id="details-title">What it took</h3>
      <div class="runs">${finished.map(({ name, summary, notes }) =>
        html`
          <div key=${name}>
            ${job.parts.length > 1 && html`<h4>${partTitle(name)}</h4>`}
            <dl class="facts">
              <div><dt>altogether</dt><dd>${duration(summary?.total ?? 0)}</dd></div>
              <div><dt>decoding</dt><dd>${duration(summary?.decode ?? 0)}</dd></div>
              ${Object.entries(summary?.cost ?? {}).filter(([key, value]) => key in COUNTS && value > 0).map((
                [key, value],
              ) =>
                html`
                  <div key=${key}>
                    <dt>${COUNTS[key]}</dt>
                    <dd>${value}</dd>
                  </div>
                `
              )}
            </dl>
            <ol class="times" start="0" aria-label=${`Milliseconds of ${
              count(summary?.scales.length ?? 0, "scale")
            }`}>
              ${summary?.scales.map((milliseconds, scale) =>
                html`
                  <li key=${scale}><span>scale ${scale}</span>
                    <i style=${{ width: `${(100 * milliseconds / most).toFixed(1)}%` }}></i>
                    <span class="n">${duration(milliseconds)}</span></li>
                `
              )}
            </ol>
            ${notes.map((note) => html`<p class="hint" key=${note}>${note}</p>`)}
          </div>
        `
      )}</div>
    </section>
  `;
}

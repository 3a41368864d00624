// @ts-check
/**
 * Jobs that have ended: looked at again, repeated, downloaded, forgotten.
 *
 * @module
 */

import { html } from "./view.js";

/**
 * @typedef {import("../protocol.ts").HistoryEntry} HistoryEntry
 * @typedef {object} Props
 * @property {readonly HistoryEntry[]} entries
 * @property {string | undefined} shown The job that is looked at.
 * @property {(job: string) => void} onShow
 * @property {(job: string) => void} onRepeat
 * @property {(entry: HistoryEntry) => void} onUse Takes its settings into the form.
 * @property {(job: string) => void} onForget
 */

/** @param {Props} props */
export function History({ entries, shown, onShow, onRepeat, onUse, onForget }) {
  return html`
    <aside class="history" aria-labelledby="history-title">
      <h2 id="history-title">History</h2>
      ${entries.length === 0 &&
        html`<p class="hint">What you paint stays here as long as the studio is open.</p>`}
      <ol>
        ${entries.map((entry) =>
          html`
            <li key=${entry.job} class=${entry.job === shown ? "shown" : ""}>
              <button type="button" class="entry" onClick=${() => onShow(entry.job)}
                aria-current=${entry.job === shown ? "true" : undefined}>
                ${entry.picture === undefined
                  ? html`<span class="nothing" aria-hidden="true">–</span>`
                  : html`<img src=${entry.picture} alt="" loading="lazy" />`}
                <span><b>${entry.title}</b><small>${entry.state === "done"
                  ? timeOf(entry.at)
                  : entry.state}</small></span>
              </button>
              <div class="actions">
                <button type="button" onClick=${() => onRepeat(entry.job)}
                  aria-label=${`Repeat ${entry.title}`}>Repeat</button>
                <button type="button" onClick=${() => onUse(entry)}
                  aria-label=${`Use the settings of ${entry.title}`}>Use</button>
                ${entry.files.length > 0 && html`
                  <details class="files">
                    <summary aria-label=${`Files of ${entry.title}`}>Files</summary>
                    <ul>${entry.files.map(({ name, href }) =>
                      html`<li key=${href}><a href=${href} download=${name}>${name}</a></li>`
                    )}</ul>
                  </details>
                `}
                <button type="button" class="quiet" onClick=${() => onForget(entry.job)}
                  aria-label=${`Forget ${entry.title}`}>Forget</button>
              </div>
            </li>
          `
        )}
      </ol>
    </aside>
  `;
}

/** @param {number} at */
function timeOf(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

// @ts-check
/// <reference lib="dom" />
/**
 * What is looked at: a job with its pictures, as they are painted and when they are finished.
 *
 * @module
 */

import { Candidates } from "./candidates.js";
import { Compare } from "./compare.js";
import { Details } from "./details.js";
import { Lanes } from "./lanes.js";
import { imagesOf, picturesOf, progressOf } from "./state.js";
import { html } from "./view.js";
import { partTitle, stateOf } from "./words.js";

/**
 * @typedef {import("./state.js").Job} Job
 * @typedef {import("./state.js").Part} Part
 * @typedef {import("../protocol.ts").ModelFacts} ModelFacts
 * @typedef {import("../protocol.ts").PictureFacts} PictureFacts
 *
 * @typedef {object} Look What is looked at within a job.
 * @property {number} image Place of the image in the job.
 * @property {number} part Number of the way in which it is made; the last by default.
 * @property {number | undefined} scale The scale after which it is shown, or what is newest.
 *
 * @typedef {object} Props
 * @property {Job} job
 * @property {ModelFacts | undefined} facts
 * @property {Partial<Look>} look
 * @property {(look: Partial<Look>) => void} onLook
 * @property {() => void} onAbort
 * @property {() => void} onRepeat
 * @property {(picture: PictureFacts, title: string) => void} onEdit
 */

/** @param {Props} props */
export function Stage({ job, facts, look, onLook, onAbort, onRepeat, onEdit }) {
  const running = job.state === "running" || job.state === "waiting";
  const images = imagesOf(job);
  const image = look.image !== undefined && images.includes(look.image) ? look.image : images[0] ?? 0;
  const number = Math.min(look.part ?? (running ? job.current : job.parts.length - 1), job.parts.length - 1);
  const part = /** @type {Part} */ (job.parts[number]);
  const { scales, finished } = picturesOf(part, image);
  const clouds = part.clouds.filter(({ place }) => place === image);
  const tree = part.trees.find(({ place }) => place === image);
  const sides = job.parts.map(({ name }, i) => ({
    title: partTitle(name),
    picture: picturesOf(/** @type {Part} */ (job.parts[i]), image).finished[0]?.picture,
  }));
  const [left, right] = sides;
  const progress = progressOf(job);
  return html`
    <section class="stage" aria-labelledby="job-title">
      <header class="job-head">
        <h2 id="job-title">${job.title}</h2>
        <div class="row">
          ${running && html`<button type="button" class="danger" onClick=${onAbort}>Abort</button>`}
          ${!running && html`<button type="button" onClick=${onRepeat}>Repeat</button>`}
          ${finished[0] !== undefined && html`
            <button type="button" onClick=${() =>
              onEdit(/** @type {any} */ (finished[0]).picture, finished[0]?.caption ?? "")}>Edit</button>
            <a class="button" href=${finished[0].picture.href}
              download=${`${fileName(finished[0].caption)}.png`}>PNG</a>
          `}
          ${part.summary !== undefined && html`
            <a class="button" href=${part.summary.record} download=${`run_job-${job.id}.json`}>run.json</a>
          `}
        </div>
        <p class=${`state ${job.state}`} role="status" aria-live="polite">${stateOf(job)}</p>
        <${Progress} part=${part} value=${progress} running=${running} />
      </header>
      ${images.length > 1 && html`
        <div class="images" role="group" aria-label="Pictures of this job">
          ${images.map((place) => {
            const own = picturesOf(part, place);
            const picture = own.finished[0]?.picture ?? own.scales.at(-1)?.picture;
            return html`
              <button type="button" key=${place} aria-pressed=${String(place === image)}
                aria-label=${`Picture ${place}`} onClick=${() => onLook({ image: place })}>
                ${picture === undefined ? html`<span>…</span>` : html`<img src=${picture.href} alt="" />`}
              </button>
            `;
          })}
        </div>
      `}
      ${job.parts.length > 1 && html`
        <div class="segments parts" role="group" aria-label="Ways of making it">
          ${job.parts.map(({ name }, i) =>
            html`
              <button type="button" key=${name} aria-pressed=${String(i === number)}
                onClick=${() => onLook({ ...look, image, part: i })}>${partTitle(name)}</button>
            `
          )}
        </div>
      `}
      <div class="views">
        <div class="view-picture">
          ${look.scale === undefined && left?.picture !== undefined && right?.picture !== undefined
            ? html`<${Compare} left=${left} right=${right} />`
            : html`<${Painting} scales=${scales} finished=${finished} scale=${look.scale} />`}
          <${Strip} scales=${scales} part=${part} finished=${finished} scale=${look.scale}
            onScale=${(/** @type {number | undefined} */ scale) => onLook({ ...look, image, scale })} />
          ${running && html`<${LanesNow} part=${part} image=${image} />`}
          ${finished.length > 1 && html`
            <ul class="kept-pictures" aria-label="Pictures that were kept">
              ${finished.map(({ picture, caption }) =>
                html`<li key=${picture.href}><a href=${picture.href} download=${`${fileName(caption)}.png`}>
                <img src=${picture.href} alt=${caption} /></a></li>`
              )}
            </ul>
          `}
        </div>
        ${clouds.length === 0 ? html`<${Details} job=${job} />` : html`
          <div class="view-clouds">
            <${Candidates} clouds=${clouds} options=${job.form.options} facts=${facts} />
          </div>
        `}
      </div>
      ${tree !== undefined && html`<${Lanes} tree=${tree} finished=${finished[0]} />`}
      ${clouds.length > 0 && html`<${Details} job=${job} />`}
    </section>
  `;
}

/** @param {{ part: Part, value: number, running: boolean }} props */
function Progress({ part, value, running }) {
  if (!running) return null;
  const sides = Array.from({ length: part.count }, (_, i) => part.scales[i]);
  return html`
    <div class="progress" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${Math.round(100 * value)}>
      ${sides.map((scale, i) => html`<i key=${i} class=${scale === undefined ? "" : "done"}></i>`)}
    </div>
  `;
}

/**
 * @param {{ scales: { scale: number, picture: PictureFacts }[], scale: number | undefined,
 *   finished: import("./state.js").Finished[] }} props
 */
function Painting({ scales, finished, scale }) {
  const chosen = scale === undefined
    ? finished[0]?.picture ?? scales.at(-1)?.picture
    : scales.find((it) => it.scale === scale)?.picture;
  if (chosen === undefined) return html`<div class="painting empty" aria-hidden="true"></div>`;
  const what = scale === undefined && finished[0] !== undefined
    ? finished[0].caption
    : `After scale ${scale ?? scales.at(-1)?.scale}`;
  return html`
    <div class="painting"><img src=${chosen.href} alt=${what} width=${chosen.width} height=${chosen
      .height} /></div>
  `;
}

/**
 * The lanes of an image that is being painted, where it has several.
 *
 * @param {{ part: Part, image: number }} props
 */
function LanesNow({ part, image }) {
  const { scale = 0, pictures = [] } = part.previews.at(-1) ?? {};
  const lanes = pictures.filter(({ place }) => place === image);
  if (lanes.length < 2) return null;
  return html`
    <ul class="kept-pictures" aria-label=${`Lanes after scale ${scale}`}>
      ${lanes.map(({ lane, href, width, height }) =>
        html`<li key=${lane}><img src=${href} alt=${`Lane ${lane}`} width=${width} height=${height} />
          <small>lane ${lane}</small></li>`
      )}
    </ul>
  `;
}

/**
 * @param {{ scales: { scale: number, picture: PictureFacts }[], part: Part, scale: number | undefined,
 *   finished: import("./state.js").Finished[], onScale(scale: number | undefined): void }} props
 */
function Strip({ scales, part, scale, finished, onScale }) {
  if (scales.length === 0) return null;
  const sizeOf = (/** @type {number} */ scale) => {
    const facts = part.scales.find((it) => it.scale === scale);
    return facts === undefined ? `${scale}` : `${facts.width}×${facts.height}`;
  };
  return html`
    <div class="strip" role="group" aria-label="Scales">
      ${scales.map(({ scale: number, picture }) =>
        html`
          <button type="button" key=${number} aria-pressed=${String(number === scale)}
            aria-label=${`Scale ${number}, ${sizeOf(number)} tokens`}
            onClick=${() => onScale(number === scale ? undefined : number)}>
            <img src=${picture.href} alt="" /><small>${sizeOf(number)}</small>
          </button>
        `
      )}
      ${finished.length > 0 && scale !== undefined && html`
        <button type="button" class="newest" onClick=${() => onScale(undefined)}>Finished</button>
      `}
    </div>
  `;
}

/** @param {string} caption */
function fileName(caption) {
  return caption.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "picture";
}

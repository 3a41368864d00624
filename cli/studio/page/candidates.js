// @ts-check
/// <reference lib="dom" />
/**
 * The candidates of a searched scale: where their code vectors lie, how dense it is around them, which were
 * kept, which one was taken, and why.
 *
 * @module
 */

import { Component, html } from "./view.js";
import { count, digits, settingOf, whyChosen } from "./words.js";

/**
 * @typedef {import("./state.js").Cloud} Cloud
 * @typedef {import("../protocol.ts").ModelFacts} ModelFacts
 */

/** Size of the plot, and room around its points, in units of its drawing. */
const WIDTH = 480;
const HEIGHT = 320;
const MARGIN = 18;
/** Height of the bars with the densities. */
const BARS = 88;
/** More bars than this would be thinner than a line. */
const MOST_BARS = 240;

/** Dropped candidates are drawn in so many steps of density, each in one stroke: there may be thousands. */
const STEPS = 6;

/**
 * @typedef {object} Props
 * @property {readonly Cloud[]} clouds Those of one image: a lane and scale each.
 * @property {Readonly<Record<string, string | boolean>>} options
 * @property {ModelFacts | undefined} facts
 */

/**
 * The clouds of an image, one at a time.
 *
 * @extends {Component<Props, { chosen: number | undefined }>}
 */
export class Candidates extends Component {
  /** @override @type {{ chosen: number | undefined }} */
  state = { chosen: undefined };

  /** @override */
  render() {
    const { clouds, options, facts } = this.props;
    const settings = {
      strategy: settingOf(options, facts, "strategy"),
      pick: settingOf(options, facts, "pick"),
      conflictThreshold: settingOf(options, facts, "conflictThreshold"),
    };
    const number = Math.min(this.state.chosen ?? 0, clouds.length - 1);
    const cloud = /** @type {Cloud} */ (clouds[number]);
    return html`
      <figure class="cloud">
        <figcaption class="row">
          <h3>Candidates at scale ${cloud.scale}</h3>
          ${clouds.length > 1 && html`
            <label class="row">of <select value=${number}
              onChange=${(/** @type {any} */ { target }) => this.setState({ chosen: Number(target.value) })}>
              ${clouds.map(({ lane, scale }, i) =>
                html`<option key=${i} value=${i}>lane ${lane}, scale ${scale}</option>`
              )}
            </select></label>
          `}
        </figcaption>
        <${Points} cloud=${cloud} />
        <${Legend} cloud=${cloud} />
        <${Densities} cloud=${cloud} />
        <ul class="why">
          ${whyChosen(cloud.decision, settings).map((sentence, i) => html`<li key=${i}>${sentence}</li>`)}
        </ul>
      </figure>
    `;
  }
}

/** @param {{ cloud: Cloud }} props */
function Points({ cloud }) {
  const { points, densities, kept, chosen, scale } = cloud;
  const [x, y] = [spread(points, 0, WIDTH), spread(points, 1, HEIGHT)];
  const greatest = densities.reduce((a, b) => Math.max(a, b), 0);
  const isKept = new Set(kept);
  const place = (/** @type {number} */ i) => ({ x: x(points[2 * i] ?? 0), y: y(points[2 * i + 1] ?? 0) });
  const shareOf = (/** @type {number} */ i) => greatest > 0 ? (densities[i] ?? 0) / greatest : 0;
  // Many are drawn smaller, and the densest lie on top.
  const size = densities.length > 1000 ? 0.4 : densities.length > 300 ? 0.65 : 1;
  const dropped = densities.map((_, i) => i).filter((i) => i !== chosen && !isKept.has(i));
  const steps = Array.from({ length: STEPS }, (_, step) => {
    const own = dropped.filter((i) => Math.min(STEPS - 1, Math.floor(STEPS * shareOf(i))) === step);
    const share = (step + 0.5) / STEPS;
    const dots = own.map((i) => {
      const at = place(i);
      return `M${at.x.toFixed(1)} ${at.y.toFixed(1)}h.01`;
    });
    return html`
      <path key=${step} class="dots" d=${dots.join("")}
        style=${{ strokeWidth: String(size * (6 + 8 * share)), strokeOpacity: String(0.2 + 0.6 * share) }} />
    `;
  });
  const marked = [...kept.filter((i) => i !== chosen)].sort((a, b) => shareOf(a) - shareOf(b)).concat(chosen);
  const summary =
    `${count(densities.length, "candidate")} at scale ${scale} by two principal components of ` +
    `their code vectors: ${kept.length} kept, candidate ${chosen} taken`;
  return html`
    <svg class="points" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${summary}>
      <text class="axis" x=${WIDTH - 4} y=${HEIGHT - 5} text-anchor="end">first component</text>
      <text class="axis" x="12" y="8" text-anchor="end" transform="rotate(-90 12 8)">second component</text>
      ${steps}
      ${marked.map((i) => {
        const { x: cx, y: cy } = place(i);
        const share = shareOf(i);
        return html`
          <circle key=${i} class=${i === chosen ? "taken" : "kept"} cx=${cx} cy=${cy} r=${size *
            (3 + 4 * share)}
            style=${{ "--share": String(0.15 + 0.75 * share) }}>
            <title>${`Candidate ${i}, ${i === chosen ? "taken" : "kept"}: density ${
              digits(densities[i] ?? 0, 3)
            }`}</title>
          </circle>
        `;
      })}
      <${Mark} ...${place(chosen)} />
    </svg>
  `;
}

/** What is taken has a mark that does not rest on its colour. @param {{ x: number, y: number }} at */
function Mark({ x, y }) {
  return html`
    <path class="mark"
      d=${`M${x - 13} ${y}h6M${x + 7} ${y}h6M${x} ${y - 13}v6M${x} ${y + 7}v6`} />
  `;
}

/** @param {{ cloud: Cloud }} props */
function Legend({ cloud: { densities, kept, chosen } }) {
  const dropped = densities.length - kept.length;
  const items = [
    { what: "taken", text: `taken: ${chosen}` },
    { what: "kept", text: `kept: ${kept.length}` },
    { what: "dropped", text: `dropped: ${dropped}` },
  ];
  return html`
    <ul class="legend">
      ${items.map(({ what, text }) =>
        html`
          <li key=${what}><svg viewBox="0 0 28 28" aria-hidden="true">
            <circle class=${what} cx="14" cy="14" r="6" />
            ${what === "taken" && html`<${Mark} x=${14} y=${14} />`}
          </svg>${text}</li>
        `
      )}
      <li class="note">larger and darker: denser</li>
    </ul>
  `;
}

/** Bars of all densities, the greatest first, with the mean and what the greatest is compared with. */
function Densities(/** @type {{ cloud: Cloud }} */ { cloud }) {
  const { densities, kept, chosen, threshold, decision } = cloud;
  const isKept = new Set(kept);
  const order = [...densities.keys()].sort((a, b) => (densities[b] ?? 0) - (densities[a] ?? 0));
  const step = Math.max(1, Math.ceil(order.length / MOST_BARS));
  // Of several in one bar, the taken and the kept are shown rather than the others.
  const rank = (/** @type {number} */ i) => i === chosen ? 2 : isKept.has(i) ? 1 : 0;
  const bars = Array.from({ length: Math.ceil(order.length / step) }, (_, bar) => {
    return order.slice(bar * step, (bar + 1) * step).reduce((a, b) => rank(b) > rank(a) ? b : a);
  });
  const top = Math.max(decision.max, threshold) * 1.06;
  const width = (WIDTH - 8) / bars.length;
  const height = (/** @type {number} */ value) => BARS * value / top;
  const line = (/** @type {number} */ value) => BARS - height(value);
  const thresholdAbove = threshold >= decision.mean;
  return html`
    <svg class="bars" viewBox=${`0 0 ${WIDTH} ${BARS + 16}`} role="img"
      aria-label=${`Densities from ${digits(decision.max, 3)} down; the mean is ${
        digits(decision.mean, 3)
      }, alpha times the mean ${digits(threshold, 3)}`}>
      ${bars.map((i, bar) =>
        html`
          <rect key=${i} class=${i === chosen ? "taken" : isKept.has(i) ? "kept" : "dropped"}
            x=${4 + bar * width} y=${line(densities[i] ?? 0)} width=${Math.max(
              0.8,
              width - Math.min(1, width / 4),
            )}
            height=${height(densities[i] ?? 0)} />
        `
      )}
      <line class="mean" x1="0" x2=${WIDTH} y1=${line(decision.mean)} y2=${line(decision.mean)} />
      <line class="threshold" x1="0" x2=${WIDTH} y1=${line(threshold)} y2=${line(threshold)} />
      <text class="axis" x=${WIDTH - 4} y=${line(decision.mean) + (thresholdAbove ? 11 : -4)}
        text-anchor="end">mean</text>
      <text class="axis" x=${WIDTH - 4} y=${line(threshold) + (thresholdAbove ? -4 : 11)}
        text-anchor="end">α × mean</text>
      <text class="axis" x="4" y=${BARS + 12}>densities, the greatest first</text>
    </svg>
  `;
}

/**
 * From coordinates to places on an axis of this length.
 *
 * @param {readonly number[]} points
 * @param {number} which Which of the two coordinates.
 * @param {number} length
 */
function spread(points, which, length) {
  const values = points.filter((_, i) => i % 2 === which);
  const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  const room = length - 2 * MARGIN;
  return (/** @type {number} */ value) => {
    return high === low ? length / 2 : MARGIN + room * (value - low) / (high - low);
  };
}

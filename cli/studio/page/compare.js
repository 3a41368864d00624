// @ts-check
/// <reference lib="dom" />
/**
 * Two pictures from the same random numbers, one over the other, with a slider between them, or side by side.
 *
 * @module
 */

import { Component, html } from "./view.js";

/**
 * @typedef {object} Side
 * @property {string} title
 * @property {import("../protocol.ts").PictureFacts} picture
 */

/** @extends {Component<{ left: Side, right: Side }, { place: number, beside: boolean }>} */
export class Compare extends Component {
  /** @override */
  state = { place: 50, beside: false };

  /** @override */
  render() {
    const { left, right } = this.props;
    const { place, beside } = this.state;
    return html`
      <div class="compare">
        ${beside
          ? html`<div class="beside">${
            [left, right].map((side) =>
              html`
                <figure key=${side.title}>${image(side)}<figcaption>${side.title}</figcaption></figure>
              `
            )
          }</div>`
          : html`
            <div class="slider">
              ${image(right)}
              <div class="over" style=${{ clipPath: `inset(0 ${100 - place}% 0 0)` }}>${image(left)}</div>
              <div class="seam" style=${{ left: `${place}%` }} aria-hidden="true"></div>
              <input type="range" min="0" max="100" value=${place}
                aria-label=${`How much is shown of ${left.title}, over ${right.title}`}
                aria-valuetext=${`${place} % ${left.title}`}
                onInput=${(/** @type {any} */ { target }) =>
                  this.setState({ place: Number(target.value) })} />
            </div>
            <div class="sides" aria-hidden="true"><span>${left.title}</span><span>${right.title}</span></div>
          `}
        <div class="row">
          <label class="check"><input type="checkbox" checked=${beside}
            onChange=${(/** @type {any} */ { target }) =>
              this.setState({ beside: target.checked })} /> side by side</label>
        </div>
      </div>
    `;
  }
}

/** @param {Side} side */
function image({ title, picture: { href, width, height } }) {
  return html`<img src=${href} alt=${title} width=${width} height=${height} draggable=${false} />`;
}

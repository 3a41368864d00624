// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * A mask over a picture: drawn with a pointer, or made of boxes by numbers.
 *
 * @module
 */

import { bring } from "./connection.js";
import { Component, html } from "./view.js";

/**
 * @typedef {import("../protocol.ts").EditForm} EditForm
 * @typedef {object} Props
 * @property {string} href The picture.
 * @property {string} title
 * @property {boolean} possible Whether the model can edit.
 * @property {(edit: EditForm) => Promise<void>} onPaint
 * @property {() => void} onClose
 * @typedef {object} Box
 * @property {number} left In parts of a hundred, like all of it.
 * @property {number} top
 * @property {number} width
 * @property {number} height
 * @typedef {object} State
 * @property {{ width: number, height: number } | undefined} size
 * @property {number} brush
 * @property {boolean} erases
 * @property {EditForm["mode"]} mode
 * @property {Box} box
 * @property {string} said What was done last, for who does not see it.
 * @property {number} share How much of the picture is covered.
 * @property {boolean} busy
 */

/** Red, green, blue and alpha with which the mask lies over the picture. */
const VEIL = "rgb(217 70 50)";

/** @extends {Component<Props, State>} */
export class Editor extends Component {
  /** @override @type {State} */
  state = {
    size: undefined,
    brush: 12,
    erases: false,
    mode: "inpaint",
    box: { left: 25, top: 25, width: 50, height: 50 },
    said: "",
    share: 0,
    busy: false,
  };

  /** @type {HTMLCanvasElement | null} */
  canvas = null;
  /** @type {{ x: number, y: number } | undefined} */
  last = undefined;

  /** @override */
  render() {
    const { href, title, possible, onClose } = this.props;
    const { size, brush, erases, mode, box, said, share, busy } = this.state;
    const field = (/** @type {keyof Box} */ name, /** @type {number} */ least) =>
      html`
        <label>${name} <input type="number" min=${least} max="100" step="1" value=${box[name]}
          onInput=${(/** @type {any} */ { target }) =>
            this.setState({ box: { ...box, [name]: Number(target.value) } })} /> %</label>
      `;
    return html`
      <section class="editor panel" aria-labelledby="editor-title">
        <header class="row">
          <h2 id="editor-title">Edit ${title}</h2>
          <button type="button" class="quiet" onClick=${onClose}>Close</button>
        </header>
        <div class="editor-body">
          <div class="mask" style=${size && { aspectRatio: `${size.width} / ${size.height}` }}>
            <img src=${href} alt=${title} onLoad=${(/** @type {any} */ { target }) => this.measure(target)} />
            <canvas ref=${(/** @type {HTMLCanvasElement | null} */ canvas) => this.canvas = canvas}
              width=${size?.width ?? 1} height=${size?.height ?? 1}
              role="img" aria-label="The mask; boxes by numbers make it without a pointer"
              onPointerDown=${(/** @type {PointerEvent} */ event) => this.begin(event)}
              onPointerMove=${(/** @type {PointerEvent} */ event) => this.move(event)}
              onPointerUp=${() => this.end()} onPointerCancel=${() => this.end()}></canvas>
          </div>
          <div class="tools">
            <p class="hint">Draw over what is to be painted anew. What is painted there is the class or prompt of the
              form; without one, whatever fits.</p>
            <fieldset>
              <legend>Brush</legend>
              <label>size <input type="range" min="2" max="40" value=${brush}
                onInput=${(/** @type {any} */ { target }) =>
                  this.setState({ brush: Number(target.value) })} /></label>
              <label class="check"><input type="checkbox" checked=${erases}
                onChange=${(/** @type {any} */ { target }) =>
                  this.setState({ erases: target.checked })} /> erase</label>
            </fieldset>
            <fieldset>
              <legend>Box</legend>
              <div class="numbers">${field("left", 0)}${field("top", 0)}${field("width", 1)}${field(
                "height",
                1,
              )}</div>
              <div class="row">
                <button type="button" onClick=${() => this.addBox(false)}>Add box</button>
                <button type="button" onClick=${() => this.addBox(true)}>Erase box</button>
              </div>
            </fieldset>
            <div class="row">
              <button type="button" onClick=${() => this.clear()}>Clear</button>
              <button type="button" onClick=${() => this.invert()}>Invert</button>
            </div>
            <fieldset>
              <legend>Painted anew is</legend>
              ${/** @type {const} */ ([["inpaint", "what is covered"], [
                "outpaint",
                "all but what is covered",
              ]]).map((
                [value, text],
              ) =>
                html`
                  <label class="check" key=${value}><input type="radio" name="mode" checked=${mode === value}
                    onChange=${() => this.setState({ mode: value })} /> ${text}</label>
                `
              )}
            </fieldset>
            <p class="covered" aria-live="polite">${said} ${Math.round(100 * share)} % covered.</p>
            <button type="button" class="primary" disabled=${!possible || busy || share === 0 || share === 1}
              onClick=${() => this.paint()}>Paint the region</button>
            ${!possible && html`<p class="hint">This model has no encoder, without which it cannot edit.</p>`}
          </div>
        </div>
      </section>
    `;
  }

  /** @param {HTMLImageElement} image */
  measure({ naturalWidth: width, naturalHeight: height }) {
    this.setState({ size: { width, height } });
  }

  /** @param {PointerEvent} event */
  begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas?.setPointerCapture(event.pointerId);
    this.last = this.placeOf(event);
    this.stroke(this.last);
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (this.last !== undefined) this.stroke(this.placeOf(event));
  }

  end() {
    if (this.last === undefined) return;
    this.last = undefined;
    this.measureShare("");
  }

  /** @param {PointerEvent} event */
  placeOf({ clientX, clientY }) {
    const canvas = /** @type {HTMLCanvasElement} */ (this.canvas);
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return { x: (clientX - left) * canvas.width / width, y: (clientY - top) * canvas.height / height };
  }

  /** @param {{ x: number, y: number }} to */
  stroke(to) {
    const from = this.last ?? to;
    this.draw((context, { width }) => {
      context.lineWidth = this.state.brush * width / 100;
      context.lineCap = "round";
      context.beginPath();
      context.moveTo(from.x, from.y);
      context.lineTo(to.x + 0.01, to.y);
      context.stroke();
    }, this.state.erases);
    this.last = to;
  }

  /** @param {boolean} erases */
  addBox(erases) {
    const { left, top, width, height } = this.state.box;
    this.draw((context, size) => {
      const [x, y] = [left * size.width / 100, top * size.height / 100];
      context.fillRect(x, y, width * size.width / 100, height * size.height / 100);
    }, erases);
    this.measureShare(erases ? "Box erased." : "Box added.");
  }

  clear() {
    this.draw((context, { width, height }) => context.clearRect(0, 0, width, height), false);
    this.measureShare("Cleared.");
  }

  invert() {
    this.draw((context, { width, height }) => {
      context.globalCompositeOperation = "xor";
      context.fillRect(0, 0, width, height);
    }, false);
    this.measureShare("Inverted.");
  }

  /**
   * @param {(context: CanvasRenderingContext2D, size: { width: number, height: number }) => void} work
   * @param {boolean} erases
   */
  draw(work, erases) {
    const canvas = /** @type {HTMLCanvasElement} */ (this.canvas);
    const context = /** @type {CanvasRenderingContext2D} */ (
      canvas.getContext("2d", { willReadFrequently: true })
    );
    context.save();
    context.fillStyle = context.strokeStyle = VEIL;
    if (erases) context.globalCompositeOperation = "destination-out";
    work(context, canvas);
    context.restore();
  }

  /** Which pixels are covered: half or more of each. @returns {boolean[]} */
  covered() {
    const canvas = /** @type {HTMLCanvasElement} */ (this.canvas);
    const { data } = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"))
      .getImageData(0, 0, canvas.width, canvas.height);
    return Array.from({ length: canvas.width * canvas.height }, (_, i) => (data[4 * i + 3] ?? 0) >= 128);
  }

  /** @param {string} said */
  measureShare(said) {
    const covered = this.covered();
    this.setState({ said, share: covered.filter(Boolean).length / covered.length });
  }

  async paint() {
    const { href, onPaint } = this.props;
    const { width, height } = /** @type {HTMLCanvasElement} */ (this.canvas);
    this.setState({ busy: true });
    try {
      const mask = await bring(await maskOf(this.covered(), { width, height }));
      await onPaint({ picture: href, mask, mode: this.state.mode });
    } finally {
      this.setState({ busy: false });
    }
  }
}

/**
 * A mask as a PNG: white where it covers, black elsewhere.
 *
 * @param {readonly boolean[]} covered
 * @param {{ width: number, height: number }} size
 */
function maskOf(covered, { width, height }) {
  const pixels = new ImageData(width, height);
  for (const [i, covers] of covered.entries()) {
    pixels.data.set(covers ? [255, 255, 255, 255] : [0, 0, 0, 255], 4 * i);
  }
  return pngOf({ width, height }, (context) => context.putImageData(pixels, 0, 0));
}

/**
 * A picture of somebody's as a PNG whose edges are not longer than this.
 *
 * @param {Blob} file
 * @param {number} longest
 */
export async function pngOfFile(file, longest) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("This is not a picture that the browser can read");
  });
  const part = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * part));
  const height = Math.max(1, Math.round(bitmap.height * part));
  return await pngOf({ width, height }, (context) => context.drawImage(bitmap, 0, 0, width, height));
}

/**
 * @param {{ width: number, height: number }} size
 * @param {(context: CanvasRenderingContext2D) => void} draw
 * @returns {Promise<Blob>}
 */
function pngOf({ width, height }, draw) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  draw(/** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")));
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => blob === null ? reject(new Error("The picture is too large")) : resolve(blob));
  });
}

// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The field for what to paint: prompts, a line each, or classes, found by typing a part of their names.
 *
 * @module
 */

import { Component, html } from "./view.js";

/**
 * @typedef {import("../protocol.ts").LabelFacts} LabelFacts
 * @typedef {object} Props
 * @property {LabelFacts | undefined} labels What the model paints, once it is there.
 * @property {readonly string[]} chosen
 * @property {string} typed What stands in the field and is not chosen yet.
 * @property {(chosen: readonly string[], typed: string) => void} onChange
 */

/** Matches that are shown at once. */
const SHOWN = 60;

/**
 * Classes whose name, or number, has all the words of a text; those that begin with it first.
 *
 * @param {readonly string[]} names
 * @param {string} text
 * @returns {{ name: string, number: number }[]}
 */
export function matches(names, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const whole = words.join(" ");
  const found = names.flatMap((name, number) => {
    const lower = name.toLowerCase();
    if (!words.every((word) => lower.includes(word)) && String(number) !== whole) return [];
    const rank = String(number) === whole ? 0 : lower.startsWith(whole) ? 1 : 2;
    return [{ name, number, rank }];
  });
  return found.sort((a, b) => a.rank - b.rank || a.number - b.number);
}

/** @extends {Component<Props, { open: boolean, active: number }>} */
export class LabelField extends Component {
  /** @override */
  state = { open: false, active: -1 };

  /** @override */
  render() {
    const { labels } = this.props;
    return labels?.kind === "texts" ? this.texts() : this.classes();
  }

  texts() {
    const { typed, onChange } = this.props;
    return html`
      <div class="label-field">
        <label for="label">Prompt</label>
        <textarea id="label" rows="3" value=${typed} placeholder="two red spheres and a blue cone"
          aria-describedby="label-help"
          onInput=${(/** @type {any} */ { target }) => onChange([], target.value)}></textarea>
        <p class="hint" id="label-help">One in each line.</p>
      </div>
    `;
  }

  classes() {
    const { labels, chosen, typed } = this.props;
    const names = labels?.kind === "classes" ? labels.names : [];
    const found = this.state.open ? matches(names, typed) : [];
    const shown = found.slice(0, SHOWN);
    const active = Math.min(this.state.active, shown.length - 1);
    return html`
      <div class="label-field">
        <label for="label">Class</label>
        ${chosen.length > 0 && html`
          <ul class="chips" aria-label="Chosen classes">
            ${chosen.map((name, i) =>
              html`
                <li key=${name}>${name}
                  <button type="button" aria-label=${`Leave out ${name}`} onClick=${() =>
                    this.leaveOut(i)}>×</button>
                </li>
              `
            )}
          </ul>
        `}
        <div class="combobox">
          <input id="label" type="text" role="combobox" autocomplete="off" spellcheck=${false}
            aria-expanded=${String(this.state.open && shown.length > 0)} aria-controls="label-list"
            aria-autocomplete="list" aria-describedby="label-help"
            aria-activedescendant=${active >= 0 ? `label-${shown[active]?.number}` : undefined}
            value=${typed} placeholder=${chosen.length > 0 ? "another one" : "any: drawn from the seed"}
            onInput=${(/** @type {any} */ { target }) => this.type(target.value)}
            onFocus=${() => this.setState({ open: true, active: -1 })}
            onBlur=${() => this.setState({ open: false })}
            onKeyDown=${(/** @type {KeyboardEvent} */ event) => this.press(event, shown, active)} />
          ${this.state.open && shown.length > 0 && html`
            <ul class="options" id="label-list" role="listbox" aria-label="Classes">
              ${shown.map(({ name, number }, i) =>
                html`
                  <li key=${number} id=${`label-${number}`} role="option" aria-selected=${String(
                    i === active,
                  )}
                    onMouseDown=${(/** @type {Event} */ event) => {
                      event.preventDefault();
                      this.choose(name);
                    }}>${name}<small>${number}</small></li>
                `
              )}
              ${found.length > SHOWN &&
                html`<li class="more" aria-hidden="true">${found.length - SHOWN} more: type on</li>`}
            </ul>
          `}
        </div>
        <p class="hint" id="label-help">${names.length === 0
          ? "The classes come with the model."
          : `${names.length} classes, by name or number.`}</p>
      </div>
    `;
  }

  /** @param {string} typed */
  type(typed) {
    this.setState({ open: true, active: -1 });
    this.props.onChange(this.props.chosen, typed);
  }

  /** @param {string} name */
  choose(name) {
    const { chosen, onChange } = this.props;
    this.setState({ open: false, active: -1 });
    onChange(chosen.includes(name) ? chosen : [...chosen, name], "");
  }

  /** @param {number} place */
  leaveOut(place) {
    const { chosen, typed, onChange } = this.props;
    onChange(chosen.filter((_, i) => i !== place), typed);
  }

  /**
   * @param {KeyboardEvent} event
   * @param {readonly { name: string, number: number }[]} shown
   * @param {number} active
   */
  press(event, shown, active) {
    const { chosen, typed } = this.props;
    const move = (/** @type {number} */ to) => {
      event.preventDefault();
      this.setState({ open: true, active: (to + shown.length) % Math.max(1, shown.length) }, () => {
        document.querySelector("#label-list [aria-selected=true]")?.scrollIntoView({ block: "nearest" });
      });
    };
    switch (event.key) {
      case "ArrowDown":
        return move(active + 1);
      case "ArrowUp":
        return move(active < 0 ? shown.length - 1 : active - 1);
      case "Escape":
        return this.setState({ open: false, active: -1 });
      case "Enter": {
        const [first] = shown;
        const exact = first !== undefined && typed.trim() !== "" &&
          (first.name.toLowerCase() === typed.trim().toLowerCase() || String(first.number) === typed.trim());
        const name = active >= 0 ? shown[active]?.name : exact ? first.name : undefined;
        if (name === undefined || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        return this.choose(name);
      }
      case "Backspace":
        if (typed === "" && chosen.length > 0) this.leaveOut(chosen.length - 1);
    }
  }
}

// @ts-check
/**
 * Fields of the options, as the tables of the command line describe them.
 *
 * @module
 */

import { html } from "./view.js";

/**
 * @typedef {import("../protocol.ts").OptionForm} OptionForm
 * @typedef {Readonly<Record<string, string | boolean>>} Options
 */

/**
 * A field with its name and, while it has the focus or all are explained, its help.
 *
 * @param {{ option: OptionForm, value: string | boolean | undefined,
 *   onChange(name: string, value: string | boolean | undefined): void }} props
 */
export function Field({ option, value, onChange }) {
  const { name, flag, help, field } = option;
  const id = `option-${name}`;
  return html`
    <div class=${`field field-${field}`}>
      <label for=${id}>${flag.slice(2).replaceAll("-", " ")}</label>
      ${control(option, { id, value, set: (value) => onChange(name, value) })}
      <p class="help" id=${`${id}-help`}>${help}. <code>${flag}</code></p>
    </div>
  `;
}

/**
 * @param {OptionForm} option
 * @param {{ id: string, value: string | boolean | undefined,
 *   set(value: string | boolean | undefined): void }} facts
 */
function control({ field, choices = [], placeholder, default: standard }, { id, value, set }) {
  const described = `${id}-help`;
  const left = standard === undefined ? "default" : `default: ${standard}`;
  switch (field) {
    case "switch":
      return html`
        <input type="checkbox" id=${id} aria-describedby=${described} checked=${value === true}
          onChange=${(/** @type {any} */ { target }) => set(target.checked ? true : undefined)} />
      `;
    case "toggle":
      return html`
        <select id=${id} aria-describedby=${described} value=${value === undefined ? "" : String(value)}
          onChange=${(/** @type {any} */ { target }) =>
            set(target.value === "" ? undefined : target.value === "true")}>
          <option value="">${left}</option>
          <option value="true">on</option>
          <option value="false">off</option>
        </select>
      `;
    case "choice":
      return html`
        <select id=${id} aria-describedby=${described} value=${value ?? ""}
          onChange=${(/** @type {any} */ { target }) => set(target.value || undefined)}>
          <option value="">${left}</option>
          ${choices.map((choice) => html`<option key=${choice} value=${choice}>${choice}</option>`)}
        </select>
      `;
    case "text":
      return html`
        <input type="text" id=${id} aria-describedby=${described} value=${value ?? ""}
          placeholder=${standard ?? placeholder} spellcheck=${false} autocomplete="off"
          onInput=${(/** @type {any} */ { target }) => set(target.value.trim() || undefined)} />
      `;
  }
}

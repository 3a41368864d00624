// @ts-check
/// <reference lib="dom" />
/**
 * The form: what to paint, by which method, with which options.
 *
 * @module
 */

import { Field } from "./fields.js";
import { LabelField } from "./label.js";
import { html } from "./view.js";

/**
 * @typedef {import("../protocol.ts").JobForm} JobForm
 * @typedef {import("../protocol.ts").ModelFacts} ModelFacts
 * @typedef {import("../protocol.ts").OptionSection} OptionSection
 */

/**
 * What stands in the form.
 *
 * @typedef {object} Draft
 * @property {readonly string[]} labels Classes that are chosen.
 * @property {string} typed What stands in the field: the beginning of a class, or prompts, one in each line.
 * @property {string} method
 * @property {boolean} combined Whether VAR-Scaling is done, too.
 * @property {boolean} compare
 * @property {Readonly<Record<string, string | boolean>>} options Also those of methods that are not chosen.
 */

/** An empty form. @type {Draft} */
export const EMPTY = { labels: [], typed: "", method: "none", combined: false, compare: false, options: {} };

/** Options that stand above the others. */
const FIRST = ["seed", "count", "cfg"];

/** The method that goes with each of the others. */
const SCALING = "var-scaling";

/**
 * The methods of a draft by their names on the command line.
 *
 * @param {Draft} draft
 * @returns {string[]}
 */
function methodsOf({ method, combined }) {
  if (method === "none") return [];
  return combined && method !== SCALING ? [method, SCALING] : [method];
}

/**
 * Titles of the sections whose options a draft can use.
 *
 * @param {Draft} draft
 * @param {ModelFacts} facts
 * @returns {string[]}
 */
function usedSections(draft, { sections, methods }) {
  const ofMethods = methods.flatMap((method) => method.sections);
  const chosen = methods.filter(({ name }) => methodsOf(draft).includes(name)).flatMap((method) =>
    method.sections
  );
  return sections.map(({ title }) => title).filter((title) =>
    !ofMethods.includes(title) || chosen.includes(title)
  );
}

/**
 * What a draft asks for; options of other methods stay behind.
 *
 * @param {Draft} draft
 * @param {ModelFacts} facts
 * @returns {JobForm}
 */
export function formOf(draft, facts) {
  const titles = usedSections(draft, facts);
  const names = facts.sections.filter(({ title }) => titles.includes(title))
    .flatMap(({ options }) => options.map(({ name }) => name));
  const options = Object.entries(draft.options).filter(([name]) => names.includes(name));
  const typed = facts.labels.kind === "texts" ? draft.typed.split("\n") : [draft.typed];
  const methods = methodsOf(draft);
  return {
    labels: [...draft.labels, ...typed.map((text) => text.trim()).filter(Boolean)],
    options: { ...Object.fromEntries(options), method: methods.length === 0 ? "none" : methods.join(",") },
    ...(draft.compare && methods.length > 0 && { compare: true }),
  };
}

/**
 * The draft that asks for the same as a form.
 *
 * @param {JobForm} form
 * @param {ModelFacts} facts
 * @returns {Draft}
 */
export function draftOf({ labels, options, compare = false }, facts) {
  const { method: wanted, scaling: _scaling, ...others } = options;
  const methods = String(wanted ?? "none").split(",");
  const isTexts = facts.labels.kind === "texts";
  return {
    labels: isTexts ? [] : labels,
    typed: isTexts ? labels.join("\n") : "",
    method: methods.find((name) => name !== SCALING) ?? methods[0] ?? "none",
    combined: methods.length > 1,
    compare,
    options: others,
  };
}

/**
 * @param {{ draft: Draft, facts: ModelFacts | undefined, busy: boolean, problem: string | undefined,
 *   onChange(draft: Draft): void, onPaint(): void }} props
 */
export function Form({ draft, facts, busy, problem, onChange, onPaint }) {
  const setOption = (/** @type {string} */ name, /** @type {string | boolean | undefined} */ value) => {
    const { [name]: _before, ...others } = draft.options;
    onChange({ ...draft, options: value === undefined ? others : { ...others, [name]: value } });
  };
  const all = facts?.sections.flatMap(({ options }) => options) ?? [];
  const first = FIRST.flatMap((name) => all.find((option) => option.name === name) ?? []);
  const titles = facts === undefined ? [] : usedSections(draft, facts);
  const sections = facts?.sections.filter(({ title }) => titles.includes(title)) ?? [];
  return html`
    <form class="form" aria-label="What to paint" onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      onPaint();
    }} onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onPaint();
    }}>
      <${LabelField} labels=${facts?.labels} chosen=${draft.labels} typed=${draft.typed}
        onChange=${(/** @type {readonly string[]} */ labels, /** @type {string} */ typed) =>
          onChange({ ...draft, labels, typed })} />
      <div class="first">
        ${first.map((option) =>
          html`
            <${Field} key=${option.name} option=${option}
              value=${draft.options[option.name]} onChange=${setOption} />
          `
        )}
      </div>
      <fieldset class="methods">
        <legend>Method</legend>
        <div class="segments">
          ${facts?.methods.map(({ name, title }) =>
            html`
              <label key=${name}><input type="radio" name="method" value=${name} checked=${draft.method ===
                name}
                onChange=${() => onChange({ ...draft, method: name })} /><span>${title}</span></label>
            `
          )}
        </div>
        ${draft.method !== "none" && html`
          <div class="row">
            ${draft.method !== SCALING && html`
              <label class="check"><input type="checkbox" checked=${draft.combined}
                onChange=${(/** @type {any} */ { target }) =>
                  onChange({ ...draft, combined: target.checked })} /> with VAR-Scaling</label>
            `}
            <label class="check"><input type="checkbox" checked=${draft.compare}
              onChange=${(/** @type {any} */ { target }) =>
                onChange({ ...draft, compare: target.checked })} /> beside plain</label>
          </div>
        `}
      </fieldset>
      <div>
        ${sections.map((section) =>
          html`
            <${Section} key=${section.title} section=${section} draft=${draft}
              onOption=${setOption} />
          `
        )}
      </div>
      <div class="submit">
        ${problem !== undefined && html`<p class="problem" role="alert">${problem}</p>`}
        <button type="submit" class="primary" disabled=${facts === undefined || busy}>Paint</button>
        <button type="button" class="quiet" onClick=${() => onChange(EMPTY)}>Reset</button>
      </div>
    </form>
  `;
}

/**
 * @param {{ section: OptionSection, draft: Draft,
 *   onOption(name: string, value: string | boolean | undefined): void }} props
 */
function Section({ section: { title, options }, draft, onOption }) {
  const others = options.filter(({ name }) => !FIRST.includes(name));
  if (others.length === 0) return null;
  const given = others.filter(({ name }) => draft.options[name] !== undefined).length;
  return html`
    <details class="section">
      <summary>${title}${given > 0 && html`<small>${given} set</small>`}</summary>
      <div class="fields">
        ${others.map((option) =>
          html`
            <${Field} key=${option.name} option=${option} value=${draft.options[option.name]}
              onChange=${onOption} />
          `
        )}
      </div>
    </details>
  `;
}

// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The door of the view library within the page: elements from templates, and components. The server hands
 * both packages out as they are at npm.
 *
 * @module
 */

// @ts-types="npm:preact@11.2.0"
import { Component, Fragment, h, render } from "./packages/preact.js";
// @ts-types="npm:htm@3.1.1"
import htm from "./packages/htm.js";

/** @typedef {import("npm:preact@11.2.0").ComponentChildren} Children */
/** @typedef {(strings: TemplateStringsArray, ...values: unknown[]) => any} Template */

/** Makes elements of a template. */
export const html = /** @type {Template} */ (
  /** @type {{ bind(h: unknown): unknown }} */ (/** @type {unknown} */ (htm)).bind(h)
);

export { Component, Fragment, render };

/**
 * The files of the studio's page, as texts that come with the program: from the disk or from the address that
 * it was imported from, and once they were fetched without any connection. The door of the view library and
 * its templates, which the page gets as their packages have them.
 *
 * @module
 */

import htm from "npm:htm@3.1.1" with { type: "text" };
import preact from "npm:preact@11.2.0" with { type: "text" };
import app from "./page/app.js" with { type: "text" };
import candidates from "./page/candidates.js" with { type: "text" };
import compare from "./page/compare.js" with { type: "text" };
import connection from "./page/connection.js" with { type: "text" };
import details from "./page/details.js" with { type: "text" };
import editor from "./page/editor.js" with { type: "text" };
import fields from "./page/fields.js" with { type: "text" };
import form from "./page/form.js" with { type: "text" };
import history from "./page/history.js" with { type: "text" };
import icon from "./page/icon.svg" with { type: "text" };
import index from "./page/index.html" with { type: "text" };
import label from "./page/label.js" with { type: "text" };
import lanes from "./page/lanes.js" with { type: "text" };
import stage from "./page/stage.js" with { type: "text" };
import state from "./page/state.js" with { type: "text" };
import style from "./page/style.css" with { type: "text" };
import view from "./page/view.js" with { type: "text" };
import words from "./page/words.js" with { type: "text" };

/** A file of the page. */
export interface PageFile {
  readonly type: string;
  readonly text: string;
}

const scripts: Readonly<Record<string, string>> = {
  "app.js": app,
  "candidates.js": candidates,
  "compare.js": compare,
  "connection.js": connection,
  "details.js": details,
  "editor.js": editor,
  "fields.js": fields,
  "form.js": form,
  "history.js": history,
  "label.js": label,
  "lanes.js": lanes,
  "stage.js": stage,
  "state.js": state,
  "view.js": view,
  "words.js": words,
  "packages/htm.js": htm,
  "packages/preact.js": preact,
};

/** The files by their paths. */
export const PAGE_FILES: ReadonlyMap<string, PageFile> = new Map<string, PageFile>([
  ["/", { type: "text/html; charset=utf-8", text: index }],
  ["/style.css", { type: "text/css; charset=utf-8", text: style }],
  ["/icon.svg", { type: "image/svg+xml", text: icon }],
  ...Object.entries(scripts).map(([name, text]): [string, PageFile] => [
    `/${name}`,
    { type: "text/javascript; charset=utf-8", text },
  ]),
]);

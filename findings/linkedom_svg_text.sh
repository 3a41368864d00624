#!/usr/bin/env bash
# linkedom writes SVG that is none for whoever reads it as a file: an element made by createElementNS comes
# out without its namespace, also in a document of XML, where the DOM Parsing specification has it declared;
# and setting `element.style` to a text throws, where CSSOM forwards it to `cssText`, so that the option
# `style` of Observable Plot takes no text there, as it does in browsers. Attributes are written last set
# first. We set xmlns ourselves and hand Plot its style as an object (evaluation/report/). Prints what is
# written; exits with 1 if it is no longer as described.
#
# Needs Node with npm. Installs linkedom@0.18.15 and @observablehq/plot@0.6.17 from npm in a folder of its own
# and removes it.
# DOM Parsing: https://www.w3.org/TR/DOM-Parsing/#xml-serializing-an-element-node
# CSSOM: https://www.w3.org/TR/cssom-1/#the-elementcssinlinestyle-mixin
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit --prefix . linkedom@0.18.15 @observablehq/plot@0.6.17 >/dev/null

cat >script.mjs <<'JS'
import { readFileSync } from "node:fs";
import { plot } from "@observablehq/plot";
import { DOMParser } from "linkedom";

for (const name of ["linkedom", "@observablehq/plot"]) {
  console.log(name, JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8")).version);
}
const SVG = "http://www.w3.org/2000/svg";
const document = new DOMParser().parseFromString(`<svg xmlns="${SVG}"/>`, "image/svg+xml");
const element = document.createElementNS(SVG, "svg");
element.setAttribute("width", "1");
element.setAttribute("height", "2");
const written = element.outerHTML;
console.log("written:", written);
const caught = (action) => {
  try {
    action();
    return "nothing";
  } catch (error) {
    return error.message;
  }
};
const setting = caught(() => element.style = "color: red");
console.log("setting style throws:", setting);
const option = caught(() => plot({ document, style: "color: red" }));
console.log("Plot with a style as text throws:", option);
console.log("Plot with a style as object throws:", caught(() => plot({ document, style: { color: "red" } })));
const same = !written.includes("xmlns") && written.indexOf("height") < written.indexOf("width") &&
  setting.includes("only a getter") && option.includes("only a getter");
if (!same) {
  console.log("The behaviour has changed.");
  process.exit(1);
}
JS
node script.mjs

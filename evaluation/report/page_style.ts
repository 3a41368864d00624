/**
 * How the page of a report looks: on paper, on a phone and on a wide screen, in light and in dark. What
 * stands in it is left to `report.ts`.
 *
 * @module
 */

/** The style sheet. */
export const PAGE_STYLE = `:root {
  color-scheme: light dark;
  --paper: #ffffff;
  --ink: #1f2328;
  --soft: #5d666f;
  --line: #d5d9de;
  --shade: #f4f6f8;
  --accent: #1f5fbf;
  --alert: #9a6200;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c;
    --ink: #e6e8eb;
    --soft: #9da5ae;
    --line: #343a42;
    --shade: #1c2027;
    --accent: #7fb2f5;
    --alert: #e3b341;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto;
  max-width: 94rem;
  padding: 0 clamp(1rem, 4vw, 3.5rem) 4rem;
  background: var(--paper);
  color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif;
  overflow-wrap: break-word;
}
p, ul, dl, header, nav, aside { max-width: 46rem; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -100vw; }
.skip:focus { position: static; }
header { padding: 3rem 0 0.5rem; }
h1 { margin: 0 0 0.75rem; font-size: clamp(1.7rem, 5vw, 2.4rem); line-height: 1.15; letter-spacing: -0.015em; }
h2 { margin: 3.25rem 0 0.75rem; padding-top: 0.75rem; border-top: 1px solid var(--line); font-size: 1.35rem; }
h3 { margin: 2rem 0 0.5rem; font-size: 1.05rem; }
.facts { color: var(--soft); font-size: 0.9rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; margin: 1rem 0 0; padding: 0; list-style: none; }
nav { font-size: 0.9rem; }
.banner {
  max-width: 60rem;
  margin: 1.5rem 0 0;
  padding: 0.8rem 1.1rem 1rem;
  border-left: 4px solid var(--alert);
  background: var(--shade);
}
.banner h2 { margin: 0; padding: 0; border: 0; font-size: 1.05rem; color: var(--alert); }
.banner p { margin: 0.4rem 0; }
.findings { padding-left: 1.1rem; }
.findings li { margin: 0.2rem 0; }
.wide { overflow-x: auto; margin: 1.25rem 0 0.5rem; }
table { border-collapse: collapse; font-size: 0.875rem; line-height: 1.4; }
caption { padding: 0 0 0.45rem; text-align: left; font-weight: 600; }
caption span { position: sticky; left: 0; display: inline-block; max-width: min(calc(100vw - 2.5rem), 46rem); }
thead { border-top: 2px solid var(--ink); border-bottom: 1px solid var(--ink); }
tbody { border-bottom: 2px solid var(--ink); }
th, td { padding: 0.28rem 0.9rem 0.28rem 0; text-align: left; vertical-align: baseline; font-weight: 400; }
thead th { font-weight: 600; vertical-align: bottom; }
th[scope="row"] { position: sticky; left: 0; background: var(--paper); min-width: 9rem; }
.banner th[scope="row"] { background: var(--shade); }
.part > * { border-top: 1px solid var(--line); }
.n { text-align: right; padding: 0.28rem 0 0.28rem 0.9rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
thead .n { white-space: normal; }
.i, small { color: var(--soft); }
.i { font-size: 0.92em; }
strong { font-weight: 700; color: var(--accent); }
strong .i { font-weight: 400; }
.notes { margin: 0.25rem 0 0; padding: 0; list-style: none; color: var(--soft); font-size: 0.82rem; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.85rem; }
pre { overflow-x: auto; padding: 0.9rem; background: var(--shade); }
.figures {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr));
  gap: 1.75rem 2.25rem;
  margin: 1rem 0;
}
figure { margin: 0; min-width: 0; }
figure b { display: block; margin-bottom: 0.3rem; font-size: 0.95rem; }
figcaption { margin-top: 0.35rem; max-width: 27.5rem; color: var(--soft); font-size: 0.82rem; }
.varscale-plot { width: 100%; max-width: 27.5rem; color: var(--ink); --plot-background: var(--paper); }
.samples th[scope="row"] { max-width: 15rem; vertical-align: middle; }
.samples thead th + th { max-width: 8rem; padding-right: 0.4rem; overflow-wrap: anywhere; }
.samples tbody td { padding: 0.2rem 0.4rem 0.2rem 0; }
.samples td small { display: none; overflow-wrap: anywhere; }
.samples img { display: block; width: 8rem; height: auto; background: var(--shade); }
.samples .small { image-rendering: pixelated; }
dt { font-weight: 600; }
dd { margin: 0 0 0.8rem; }
.traps dd { max-width: 46rem; }
details > summary { cursor: pointer; }
@media (max-width: 40rem) {
  header { padding-top: 1.75rem; }
  th[scope="row"] { max-width: 8.5rem; min-width: 7.5rem; padding-right: 0.6rem; }
  .samples, .samples caption, .samples tbody, .samples tr { display: block; }
  .samples thead { display: none; }
  .samples tr { display: flex; flex-wrap: wrap; gap: 0.3rem; padding: 0.4rem 0; }
  .samples th[scope="row"] { flex: 0 0 100%; max-width: none; position: static; }
  .samples tbody td { flex: 0 1 6.2rem; padding: 0; }
  .samples img { width: 100%; }
  .samples td small { display: block; line-height: 1.25; }
}
@media print {
  .skip, nav { display: none; }
  .wide { overflow: visible; }
  tr, figure { break-inside: avoid; }
}
`;

// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The page of the studio: what it knows, and what the person does with it. Each part of it is a module beside
 * this one.
 *
 * @module
 */

import * as server from "./connection.js";
import { Editor, pngOfFile } from "./editor.js";
import { draftOf, EMPTY, Form, formOf } from "./form.js";
import { History } from "./history.js";
import { Stage } from "./stage.js";
import { after, jobOf, NOTHING } from "./state.js";
import { Component, html, render } from "./view.js";

/**
 * @typedef {import("./state.js").State} Known
 * @typedef {import("./form.js").Draft} Draft
 * @typedef {import("./stage.js").Look} Look
 * @typedef {import("../protocol.ts").ModelState} ModelState
 * @typedef {import("../protocol.ts").EditForm} EditForm
 *
 * @typedef {object} State
 * @property {Known} known
 * @property {Draft} draft
 * @property {string | undefined} shown The job that is looked at, if it is not the latest.
 * @property {Partial<Look>} look
 * @property {string | undefined} problem
 * @property {string} notice
 * @property {File | undefined} brought A picture whose settings are in the form.
 * @property {boolean} busy
 * @property {{ href: string, title: string } | undefined} edited
 * @property {boolean} dropping Whether a file is held over the page.
 */

/** Under which name a tab keeps its form. */
const DRAFT = "varscale-draft";
/** Pixels along an edge of a picture that is brought, at the most. */
const LONGEST = 2048;

/** @extends {Component<{}, State>} */
class Studio extends Component {
  /** @override @type {State} */
  state = {
    known: NOTHING,
    draft: keptDraft(),
    shown: undefined,
    look: {},
    problem: undefined,
    notice: "",
    brought: undefined,
    busy: false,
    edited: undefined,
    dropping: false,
  };

  /** @override */
  componentDidMount() {
    // The token has done its work; it need not stand in the history of the browser.
    history.replaceState(null, "", "/");
    server.listen(
      (event) =>
        this.setState(({ known, look }) => ({
          known: after(known, event),
          ...(event.type === "queued" ? { shown: undefined, look: {} } : { look }),
        })),
      (connection) =>
        this.setState(({ known }) => {
          return known.connection === "ended" ? {} : { known: { ...known, connection } };
        }),
    );
    addEventListener("dragover", (event) => {
      event.preventDefault();
      if (!this.state.dropping) this.setState({ dropping: true });
    });
    addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) this.setState({ dropping: false });
    });
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.setState({ dropping: false });
      const [file] = event.dataTransfer?.files ?? [];
      if (file !== undefined) this.take(file);
    });
  }

  /** @override */
  render() {
    const { known, draft, look, problem, notice, brought, busy, edited, dropping } = this.state;
    const { model, history } = known;
    const facts = this.facts;
    const job = this.job;
    return html`
      <a class="skip" href="#stage">Skip to the picture</a>
      <${Head} known=${known} />
      ${model.state === "failed" && html`<${ModelFailure} model=${model} onRetry=${() => this.retry()} />`}
      <div class="columns">
        <aside class="settings" aria-label="Settings">
          <${Form} draft=${draft} facts=${facts} busy=${busy} problem=${problem}
            onChange=${(/** @type {Draft} */ draft) => this.change(draft)} onPaint=${() => this.paint()} />
          <div class="bring">
            <label class="button">Open a picture or run.json
              <input type="file" accept="image/png,image/jpeg,image/webp,application/json,.json"
                onChange=${(/** @type {any} */ { target }) => {
                  const [file] = target.files;
                  target.value = "";
                  if (file !== undefined) this.take(file);
                }} /></label>
            <p
              class="hint">Or drop it on the page: settings come from a run.json or from a picture of varscale; any picture can be edited.</p>
          </div>
        </aside>
        <main id="stage" tabindex="-1">
          <p class="notice" role="status">${notice}</p>
          ${brought !== undefined && html`
            <p class="notice"><button type="button" onClick=${() =>
              this.attempt(() => this.editFile(brought))}>Edit the picture instead</button></p>
          `}
          ${edited !== undefined && html`
            <${Editor} key=${edited.href} href=${edited.href} title=${edited.title}
              possible=${facts?.encodes ?? false} onClose=${() => this.setState({ edited: undefined })}
              onPaint=${(/** @type {EditForm} */ edit) => this.paint(edit)} />
          `}
          ${job === undefined ? html`<${Welcome} model=${model} />` : html`
            <${Stage} key=${job.id} job=${job} facts=${facts} look=${look}
              onLook=${(/** @type {Partial<Look>} */ look) => this.setState({ look })}
              onAbort=${() => this.attempt(() => server.abort(job.id))}
              onRepeat=${() => this.attempt(() => server.repeat(job.id))}
              onEdit=${(/** @type {{ href: string }} */ { href }, /** @type {string} */ title) =>
                this.edit(href, title)} />
          `}
        </main>
        <${History} entries=${history} shown=${job?.id}
          onShow=${(/** @type {string} */ job) => this.show(job)}
          onRepeat=${(/** @type {string} */ job) => this.attempt(() => server.repeat(job))}
          onUse=${(/** @type {import("../protocol.ts").HistoryEntry} */ { form, title }) => {
            if (facts !== undefined) this.use(form, facts, `Settings of ${title}`);
          }}
          onForget=${(/** @type {string} */ job) => this.attempt(() => server.forget(job))} />
      </div>
      <footer>
        <p>varscale ${known.version}. The page is made with Preact (MIT) and htm (Apache-2.0).</p>
      </footer>
      ${dropping && html`
        <div class="drop" aria-hidden="true">
          <p>Drop a run.json or a picture</p>
        </div>
      `}
    `;
  }

  /** The model, once it is there. */
  get facts() {
    const { model } = this.state.known;
    return model.state === "ready" ? model.facts : undefined;
  }

  /** The job that is looked at. */
  get job() {
    const { known: { jobs, latest, history }, shown } = this.state;
    return jobs[shown ?? latest ?? history[0]?.job ?? ""];
  }

  /** @param {Draft} draft */
  change(draft) {
    this.setState({ draft, problem: undefined });
    sessionStorage.setItem(DRAFT, JSON.stringify(draft));
  }

  /** @param {EditForm} [edit] */
  async paint(edit) {
    const { facts } = this;
    if (facts === undefined || this.state.busy) return;
    const form = formOf(this.state.draft, facts);
    // Without a label, what is edited is to fit to its surroundings, not to be of any class.
    const edited = edit && { edit, labels: form.labels.length === 0 ? ["null"] : form.labels };
    this.setState({ busy: true, notice: "", brought: undefined });
    await this.attempt(() => server.submit({ ...form, ...edited }));
    this.setState({ busy: false });
    if (this.state.problem !== undefined) return;
    if (edit !== undefined) this.setState({ edited: undefined });
    // On a narrow screen the form stands above what it brings about.
    const stage = /** @type {HTMLElement} */ (document.querySelector("#stage"));
    if (stage.getBoundingClientRect().top > innerHeight / 2) stage.scrollIntoView();
  }

  /**
   * Does what may be refused, and says so.
   *
   * @param {() => Promise<unknown>} work
   */
  async attempt(work) {
    this.setState({ problem: undefined });
    try {
      await work();
    } catch (error) {
      this.setState({ problem: /** @type {Error} */ (error).message });
    }
  }

  async retry() {
    await this.attempt(() => server.retryModel());
  }

  /** @param {string} id */
  async show(id) {
    await this.attempt(async () => {
      if (this.state.known.jobs[id] === undefined) {
        const job = jobOf(await server.eventsOf(id));
        if (job === undefined) return;
        this.setState(({ known }) => ({ known: { ...known, jobs: { ...known.jobs, [id]: job } } }));
      }
      this.setState({ shown: id, look: {} });
    });
  }

  /** @param {string} href @param {string} title */
  edit(href, title) {
    this.setState({ edited: { href, title } }, () => {
      document.querySelector(".editor")?.scrollIntoView({ block: "nearest" });
    });
  }

  /**
   * @param {import("../protocol.ts").JobForm} form
   * @param {import("../protocol.ts").ModelFacts} facts
   * @param {string} notice
   */
  use(form, facts, notice) {
    this.change(draftOf(form, facts));
    this.setState({ brought: undefined, notice: `${notice} are in the form` });
  }

  /** Takes a file that was brought: settings, if it has any, or else a picture to edit. @param {File} file */
  async take(file) {
    const { facts } = this;
    if (facts === undefined) return this.setState({ problem: "The model is not there yet" });
    await this.attempt(async () => {
      if (file.type === "application/json" || file.name.endsWith(".json")) {
        const { form, notes } = await server.recipeIn(file);
        return this.use(form, facts, `Settings of ${[file.name, ...notes].join(", ")}`);
      }
      const recipe = file.type === "image/png"
        ? await server.recipeIn(file).catch(() => undefined)
        : undefined;
      if (recipe === undefined) return await this.editFile(file);
      this.use(recipe.form, facts, `Settings of ${[file.name, ...recipe.notes].join(", ")}`);
      this.setState({ brought: file });
    });
  }

  /** @param {File} file */
  async editFile(file) {
    this.setState({ notice: "", brought: undefined });
    this.edit(await server.bring(await pngOfFile(file, LONGEST)), file.name);
  }
}

/** @param {{ known: Known }} props */
function Head({ known: { connection, model } }) {
  const said = {
    opening: "connecting",
    open: "",
    lost: "Connection lost; trying again",
    refused: "This page is no longer let in: open the link that varscale studio has printed",
    ended: "The studio has ended",
  }[connection];
  return html`
    <header class="head">
      <h1><img src="/icon.svg" alt="" width="22" height="22" />varscale studio</h1>
      ${model.state === "ready" && html`
        <p class="model"><b>${model.facts.name}</b> ${model.facts.family} · ${model.facts
          .device}${model.facts.dtype === undefined ? "" : ` · ${model.facts.dtype}`}</p>
      `}
      ${model.state === "loading" && html`<p class="model loading" role="status">loading the model …</p>`}
      <p class=${`connection ${connection}`} role="status" aria-live="polite">${said}</p>
    </header>
  `;
}

/** @param {{ model: Extract<ModelState, { state: "failed" }>, onRetry(): void }} props */
function ModelFailure({ model: { message, notices }, onRetry }) {
  return html`
    <section class="failure" role="alert" aria-labelledby="failure-title">
      <h2 id="failure-title">The model could not be loaded</h2>
      <p>${message}</p>
      ${notices.length > 0 && html`<pre>${notices.join("\n")}</pre>`}
      <button type="button" onClick=${onRetry}>Try again</button>
    </section>
  `;
}

/** @param {ModelState} model */
function titleOf(model) {
  if (model.state === "failed") return "There is no model";
  if (model.state === "loading") return "The model is being loaded";
  return model.facts.labels.kind === "texts" ? "Write a prompt, and paint" : "Choose a class, and paint";
}

/** @param {{ model: ModelState }} props */
function Welcome({ model }) {
  return html`
    <section class="welcome">
      <h2>${titleOf(model)}</h2>
      ${model.state === "loading" && model.notices.length > 0 && html`<pre>${model.notices.join("\n")}</pre>`}
      <p class="hint">Scales appear here as they are painted. With VAR-Scaling you see its candidates, with the other
        methods their lanes; “beside plain” makes each picture twice, from the same random numbers.</p>
    </section>
  `;
}

/** @returns {Draft} */
function keptDraft() {
  try {
    return { ...EMPTY, ...JSON.parse(sessionStorage.getItem(DRAFT) ?? "{}") };
  } catch {
    return EMPTY;
  }
}

const place = /** @type {HTMLElement} */ (document.querySelector("#studio"));
place.replaceChildren();
render(html`<${Studio} />`, place);

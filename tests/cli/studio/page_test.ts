/**
 * The studio's page in Chromium, driven by Playwright: with a model that paints nothing, so that a test says
 * when a scale is done, and once with the bundled one.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Browser, type BrowserContext, chromium, type Page } from "npm:playwright-core@1.65.1";
import { HostedModel } from "../../../cli/hosting/hosted_model.ts";
import { after, jobOf, NOTHING, progressOf } from "../../../cli/studio/page/state.js";
import { whyChosen } from "../../../cli/studio/page/words.js";
import { StudioServer } from "../../../cli/studio/server.ts";
import { requireChromium } from "../../required.ts";
import { CLASSES, FakePainter } from "./fake_painter.ts";

/** Names of the program; Debian's package `chromium-headless-shell` is the smallest that has it. */
const BROWSERS = ["chromium-headless-shell", "chromium", "google-chrome"];

/** Where the browser is. */
async function findBrowser(): Promise<string | undefined> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    for (const name of BROWSERS) {
      const path = `${folder}/${name}`;
      if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
    }
  }
}

const executablePath = await findBrowser();
const problem = executablePath === undefined ? ` (there is no Chromium: ${BROWSERS.join(", ")})` : "";

/** What a test has: a studio, its model, and pages that look at it. */
interface Stage {
  readonly painter: FakePainter;
  readonly server: StudioServer;
  readonly context: BrowserContext;
  /** Opens the link in a new tab, and waits for the model. */
  visit(): Promise<Page>;
  /** What the pages complained of. */
  readonly complaints: readonly string[];
}

let started: Promise<Browser> | undefined;

/** One browser for all tests: starting it takes longer than most of them. */
function browser(): Promise<Browser> {
  // A container's root has no other choice than no sandbox, and the page is ours.
  return started ??= chromium.launch({ executablePath: executablePath!, args: ["--no-sandbox"] });
}

/** Milliseconds that something may take on a machine that does much else. */
const PATIENCE = 120_000;

/** Registers a test of the page. */
function testPage(
  title: string,
  test: (stage: Stage) => Promise<void>,
  { open, width = 1280, proxy }: {
    open?: (painter: FakePainter) => ConstructorParameters<typeof StudioServer>[0];
    width?: number;
    proxy?: () => string;
  } = {},
): void {
  Deno.test({
    name: `${title}${problem}`,
    ignore: problem !== "" && !requireChromium,
    // The browser outlives the tests.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      if (problem !== "") throw new Error(`Cannot open a page:${problem}`);
      const painter = new FakePainter();
      await using server = new StudioServer(open?.(painter) ?? (() => Promise.resolve(painter)));
      const context = await (await browser()).newContext({
        viewport: { width, height: 800 },
        ...(proxy && { proxy: { server: proxy(), bypass: "<-loopback>" } }),
      });
      context.setDefaultTimeout(PATIENCE);
      const complaints: string[] = [];
      context.on("weberror", (error) => complaints.push(error.error().message));
      context.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
      });
      const visit = async (): Promise<Page> => {
        const page = await context.newPage();
        await page.goto(server.link);
        return page;
      };
      try {
        await test({ painter, server, context, visit, complaints });
      } finally {
        await context.close();
      }
    },
  });
}

/** Holds a model at a scale until the gate is opened. */
function gateAt(painter: FakePainter, scale: number): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  painter.onScale = (at) => at === scale ? promise : undefined;
  return () => {
    painter.onScale = () => {};
    resolve();
  };
}

/** Presses the button that paints. */
async function paint(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Paint", exact: true }).click();
}

/** Waits until the job that is looked at says this. */
async function said(page: Page, text: string): Promise<void> {
  const failed = page.locator(".stage .state.failed");
  await page.locator(".stage .state", { hasText: text }).or(failed).waitFor();
  assertEquals(await failed.allTextContents(), []);
}

async function isEmpty(page: Page, selector: string): Promise<boolean> {
  return await page.locator(selector).count() === 0;
}

testPage(
  "page: the token leaves the address, and nothing is loaded from elsewhere",
  async ({ visit, server, context, complaints }) => {
    const asked: string[] = [];
    context.on("request", (request) => asked.push(request.url()));
    const page = await visit();
    await page.locator(".model b").waitFor();
    assertEquals(page.url(), `${new URL(server.link).origin}/`);
    assert(
      asked.length > 10 && asked.every((url) => url.startsWith(new URL(server.link).origin)),
      asked.join(),
    );
    const [cookie] = await context.cookies();
    assertEquals([cookie!.httpOnly, cookie!.sameSite], [true, "Strict"]);
    // Without the link, and in the page of another site, there is nothing to see.
    await context.clearCookies();
    assertEquals((await page.reload())!.status(), 403);
    // That is all that the browser complained of.
    assertEquals(complaints.filter((text) => !text.includes("403")), []);
  },
);

testPage(
  "page: a picture is seen scale by scale, with its candidates, and then finished",
  async ({ visit, painter, complaints }) => {
    const page = await visit();
    await page.getByRole("combobox", { name: "Class" }).fill("red to");
    await page.getByRole("option", { name: "red torus" }).click();
    await page.getByLabel("seed", { exact: true }).fill("7");
    await page.getByRole("radio", { name: "VAR-Scaling" }).check();
    const open = gateAt(painter, 2);
    await paint(page);
    await said(page, "scale 3 of 4");
    const scales = page.getByRole("group", { name: "Scales" }).getByRole("button");
    assertEquals(await scales.count(), 2);
    await page.getByRole("img", { name: /6 candidates at scale 1/ }).waitFor();
    assertEquals(await page.getByRole("progressbar").getAttribute("aria-valuenow"), "50");
    open();
    await said(page, "Done");
    assertEquals(await scales.count(), 4);
    assertEquals(await page.locator(".painting img").getAttribute("alt"), "red torus #0");
    const shown = await page.locator(".painting img").evaluate((image) => {
      return (image as unknown as { naturalWidth: number }).naturalWidth;
    });
    assertEquals(shown, 32);
    const why = await page.locator(".why li").allTextContents();
    assertMatch(why.join(" "), /1\.5 × the mean, and α is 1\.7: this counts as low density/);
    assertMatch(why.join(" "), /Candidate 4 was drawn from the kept by density: its chance was 25 %/);
    // A scale is looked at, and then what is finished again.
    await page.getByRole("button", { name: "Scale 1, 2×2 tokens" }).click();
    assertEquals(await page.locator(".painting img").getAttribute("alt"), "After scale 1");
    await page.getByRole("button", { name: "Finished" }).click();
    assertEquals(await page.locator(".painting img").getAttribute("alt"), "red torus #0");
    assertEquals(painter.jobs[0]!.labels, ["red torus"]);
    assertEquals([painter.jobs[0]!.options.seed, painter.jobs[0]!.options.method], [7, ["var-scaling"]]);
    assertEquals(complaints, []);
  },
);

testPage("page: lanes are a tree, and beside plain there is a slider", async ({ visit, complaints }) => {
  const page = await visit();
  await page.getByRole("radio", { name: "Best-of-N" }).check();
  await page.getByLabel("beside plain").check();
  await paint(page);
  await said(page, "Done");
  const lanes = page.getByRole("region", { name: "Tree of lanes" });
  assertEquals(await lanes.getByRole("img").count(), 4 + 3);
  assertMatch(await lanes.innerText(), /dropped by Best-of-N\s+score -2\.5/);
  const slider = page.getByRole("slider", { name: /How much is shown of Plain/ });
  assertEquals(await slider.inputValue(), "50");
  await slider.focus();
  await page.keyboard.press("Home");
  assertEquals(await slider.getAttribute("aria-valuetext"), "0 % Plain");
  assertMatch(await page.locator(".over").getAttribute("style") ?? "", /inset\(0(px)? 100%/);
  await page.getByLabel("side by side").check();
  assertEquals(await page.locator(".beside img").count(), 2);
  assertEquals(complaints, []);
});

testPage("page: a job is aborted at once, and the next one is painted", async ({ visit, painter }) => {
  const page = await visit();
  const open = gateAt(painter, 1);
  await paint(page);
  await said(page, "scale 2 of 4");
  await page.getByRole("button", { name: "Abort" }).click();
  await said(page, "Aborted");
  assert(await isEmpty(page, ".progress"));
  open();
  await paint(page);
  await said(page, "Done");
  assertEquals([painter.jobs.length, painter.aborted], [2, 1]);
  assertEquals(await page.locator(".history .entry").count(), 2);
});

testPage(
  "page: what was painted is repeated, downloaded, taken into the form and forgotten",
  async ({ visit }) => {
    const page = await visit();
    await page.getByLabel("seed", { exact: true }).fill("5");
    await paint(page);
    await said(page, "Done");
    await page.getByRole("button", { name: "Reset" }).click();
    assertEquals(await page.getByLabel("seed", { exact: true }).inputValue(), "");
    const entry = page.locator(".history li").first();
    await entry.getByRole("button", { name: /^Repeat/ }).click();
    await said(page, "Done: the same tokens as before");
    assertEquals(await page.locator(".history .entry").count(), 2);
    await entry.getByRole("button", { name: /^Use/ }).click();
    assertEquals(await page.getByLabel("seed", { exact: true }).inputValue(), "5");
    for (const [name, beginning] of [["PNG", "\x89PNG"], ["run.json", "{"]] as const) {
      const downloading = page.waitForEvent("download");
      await page.getByRole("link", { name, exact: true }).click();
      const download = await downloading;
      const bytes = await Deno.readFile(await download.path());
      assertEquals(String.fromCharCode(...bytes.subarray(0, beginning.length)), beginning);
    }
    await entry.getByRole("button", { name: /^Forget/ }).click();
    await page.locator(".history .entry").nth(1).waitFor({ state: "detached" });
  },
);

testPage(
  "page: a region is drawn with a pointer or given by numbers, and painted",
  async ({ visit, painter, complaints }) => {
    const page = await visit();
    await paint(page);
    await said(page, "Done");
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    const covered = page.locator(".covered");
    await page.locator(".mask img").evaluate((image) =>
      (image as unknown as { decode(): Promise<void> }).decode()
    );
    const { x, y, width, height } = (await page.locator(".mask canvas").boundingBox())!;
    await page.mouse.move(x + width * 0.2, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(x + width * 0.8, y + height / 2, { steps: 5 });
    await page.mouse.up();
    await covered.getByText(/^ ?[1-9]\d? % covered/).waitFor();
    await page.getByRole("button", { name: "Clear" }).click();
    await covered.getByText("0 % covered").waitFor();
    // The upper half, by the keyboard.
    const box = page.getByRole("group", { name: "Box" });
    for (const [name, value] of [["left", "0"], ["top", "0"], ["width", "100"], ["height", "50"]] as const) {
      await box.getByLabel(name).fill(value);
    }
    await box.getByRole("button", { name: "Add box" }).press("Enter");
    await covered.getByText("50 % covered").waitFor();
    await page.getByRole("button", { name: "Paint the region" }).click();
    await page.locator("h2", { hasText: "edited" }).waitFor();
    await said(page, "Done");
    const { edit, labels } = painter.jobs[1]!;
    assertEquals([labels, edit!.mode], [[null], "inpaint"]);
    const { decodeImage } = await import("../../../mod.ts");
    const mask = await decodeImage(edit!.mask!);
    assertEquals([mask.width, mask.height], [32, 32]);
    for (const row of [0, 15, 16, 31]) {
      assertEquals(
        mask.data[4 * (32 * row + 9)],
        row < 16 ? 255 : 0,
        `${row}`,
      );
    }
    assertEquals(complaints, []);
  },
);

testPage("page: a run.json that is dropped brings its settings", async ({ visit }) => {
  const page = await visit();
  await page.getByLabel("seed", { exact: true }).fill("11");
  await page.getByRole("radio", { name: "VAR-Scaling" }).check();
  await paint(page);
  await said(page, "Done");
  const record = await page.getByRole("link", { name: "run.json", exact: true }).getAttribute("href");
  await page.getByRole("button", { name: "Reset" }).click();
  await page.evaluate(async (href) => {
    // deno-lint-ignore no-explicit-any
    const { DataTransfer, DragEvent, File, dispatchEvent, fetch } = globalThis as any;
    const data = new DataTransfer();
    data.items.add(new File([await (await fetch(href)).text()], "run.json", { type: "application/json" }));
    dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
  }, record);
  await page.getByText("Settings of run.json, made with fake are in the form").waitFor();
  assertEquals(await page.getByLabel("seed", { exact: true }).inputValue(), "11");
  assert(await page.getByRole("radio", { name: "VAR-Scaling" }).isChecked());
  // What is none is refused with words.
  await page.locator("input[type=file]").setInputFiles({
    name: "other.json",
    mimeType: "application/json",
    buffer: Buffer.from("{}"),
  });
  await page.getByRole("alert").getByText("This is not the run.json of a generation").waitFor();
});

testPage("page: two tabs have jobs of their own, and wait for one another", async ({ visit, painter }) => {
  const [one, other] = [await visit(), await visit()];
  const open = gateAt(painter, 1);
  await paint(one);
  await said(one, "scale 2 of 4");
  await paint(other);
  await said(other, "Waiting, 1 job ahead");
  assertEquals(await one.locator(".stage .state").textContent(), "scale 2 of 4");
  open();
  await said(one, "Done");
  await said(other, "Done");
  for (const page of [one, other]) await page.locator(".history .entry").nth(1).waitFor();
  // A tab that is loaded anew knows what it was about.
  await other.reload();
  await said(other, "Done");
});

/** What stands between the browser and the studio, and can be cut. */
class Line {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #ends = new Set<Deno.TcpConn>();
  /** Whether nobody gets through. */
  isCut = false;
  /** How often somebody has tried since. */
  tries = 0;

  constructor() {
    void this.#serve();
  }

  get address(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** Cuts it. */
  cut(): void {
    this.isCut = true;
    for (const end of this.#ends) hangUp(end);
    this.#ends.clear();
  }

  close(): void {
    this.cut();
    this.#listener.close();
  }

  /** As a proxy: requests name the whole address, and its server takes them as they are. */
  async #serve(): Promise<void> {
    for await (const near of this.#listener) {
      if (this.isCut) {
        this.tries++;
        near.close();
        continue;
      }
      void this.#connect(near).catch(() => {});
    }
  }

  async #connect(near: Deno.TcpConn): Promise<void> {
    // A browser connects ahead of what it asks: such a connection is cut with the others.
    this.#ends.add(near);
    const first = new Uint8Array(2 ** 14);
    const length = await near.read(first) ?? 0;
    const [, port] = /127\.0\.0\.1:(\d+)/.exec(new TextDecoder().decode(first.subarray(0, length))) ?? [];
    const far = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    if (!this.#ends.has(near)) return hangUp(far);
    this.#ends.add(far);
    await far.write(first.subarray(0, length));
    await Promise.all([near.readable.pipeTo(far.writable), far.readable.pipeTo(near.writable)]);
  }
}

/** Closes a connection, which may have ended by itself. */
function hangUp(end: Deno.TcpConn): void {
  try {
    end.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

let line: Line;
testPage(
  "page: a connection that is lost comes back, and nothing is missed",
  async ({ visit, painter }) => {
    const page = await visit();
    const open = gateAt(painter, 1);
    await paint(page);
    await said(page, "scale 2 of 4");
    line.cut();
    await page.getByText("Connection lost; trying again").waitFor();
    // The rest happens while nobody hears of it.
    open();
    while (line.tries === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(await page.locator(".stage .state").textContent(), "scale 2 of 4");
    line.isCut = false;
    await said(page, "Done");
    assertEquals(await page.getByRole("group", { name: "Scales" }).getByRole("button").count(), 4);
    await page.getByText("Connection lost; trying again").waitFor({ state: "detached" });
    line.close();
  },
  { proxy: () => (line = new Line()).address },
);

let tries = 0;
testPage(
  "page: a model that fails to load says why, and is tried again",
  async ({ visit }) => {
    const page = await visit();
    await page.getByRole("alert").getByText("The weights do not fit").waitFor();
    assert(await page.getByRole("button", { name: "Paint", exact: true }).isDisabled());
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator(".model b").waitFor();
    await paint(page);
    await said(page, "Done");
  },
  {
    open: (painter) => () => {
      return ++tries === 1 ? Promise.reject(new Error("The weights do not fit")) : Promise.resolve(painter);
    },
  },
);

testPage("page: what is wrong with the form is said there", async ({ visit, painter }) => {
  const page = await visit();
  await page.getByLabel("cfg", { exact: true }).fill("much");
  await paint(page);
  await page.getByRole("alert").getByText(/^Option --cfg must be a number/).waitFor();
  assertEquals(painter.jobs.length, 0);
});

testPage("page: when the studio ends, the page says so", async ({ visit, server }) => {
  const page = await visit();
  await page.locator(".model b").waitFor();
  await server[Symbol.asyncDispose]();
  await page.getByText("The studio has ended").waitFor();
});

testPage(
  "page: all is done by the keyboard, and where the focus is can be seen",
  async ({ visit, painter }) => {
    const page = await visit();
    await page.locator(".model b").waitFor();
    await page.keyboard.press("Tab");
    assertEquals(await page.locator(":focus").textContent(), "Skip to the picture");
    await page.keyboard.press("Tab");
    await page.keyboard.type("cone");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    const active = await page.getByRole("combobox").getAttribute("aria-activedescendant");
    assertEquals(active, `label-${CLASSES.indexOf("blue cone")}`);
    await page.keyboard.press("Enter");
    await page.getByRole("list", { name: "Chosen classes" }).getByText("blue cone").waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.type("3");
    for (const _ of ["count", "cfg", "method"]) await page.keyboard.press("Tab");
    const outline = await page.locator(".segments input:focus-visible + span").evaluate((span) => {
      // deno-lint-ignore no-explicit-any
      return (globalThis as any).getComputedStyle(span).outlineStyle;
    });
    assertEquals(outline, "solid");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Control+Enter");
    await said(page, "Done");
    const { labels, options } = painter.jobs[0]!;
    assertEquals([labels, options.seed, options.method], [["blue cone"], 3, ["adaptive-guidance"]]);
    // Every control has a name.
    const nameless = await page.locator("button, input, select, textarea, a, summary").evaluateAll(
      (controls) => {
        // deno-lint-ignore no-explicit-any
        return (controls as any[]).filter((control) => {
          const labels = [...control.labels ?? []].map((label) => label.textContent.trim()).join("");
          return !(control.getAttribute("aria-label") || labels || control.textContent.trim());
        }).map((control) => control.outerHTML);
      },
    );
    assertEquals(nameless, []);
  },
);

testPage(
  "page: on a screen of 360 pixels nothing sticks out, whatever is shown",
  async ({ visit }) => {
    const page = await visit();
    await page.locator(".model b").waitFor();
    await page.getByRole("radio", { name: "TTS-VAR" }).check();
    await page.getByLabel("with VAR-Scaling").check();
    await page.getByLabel("beside plain").check();
    for (const summary of await page.locator(".form summary").all()) await summary.click();
    await paint(page);
    await said(page, "Done");
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await page.locator(".editor").waitFor();
    const wide = await page.locator("body *:visible").evaluateAll((elements) => {
      // deno-lint-ignore no-explicit-any
      return (elements as any[]).filter((element) => {
        return !element.closest(".scroll, .skip, .over") && element.getBoundingClientRect().right > 360.5;
      }).map((element) => element.outerHTML.slice(0, 120));
    });
    assertEquals(wide, []);
    // deno-lint-ignore no-explicit-any
    assertEquals(await page.evaluate(() => (globalThis as any).document.documentElement.scrollWidth), 360);
  },
  { width: 360 },
);

testPage(
  "page: with the bundled model scales come one by one, and the run can be repeated",
  async ({ visit }) => {
    const page = await visit();
    await page.getByRole("combobox", { name: "Class" }).fill("red torus");
    await page.keyboard.press("Enter");
    await page.getByRole("radio", { name: "VAR-Scaling" }).check();
    await paint(page);
    await said(page, "Done");
    assertEquals(await page.getByRole("group", { name: "Scales" }).getByRole("button").count(), 6);
    await page.getByRole("img", { name: /50 candidates at scale 1/ }).waitFor();
    await page.locator(".stage").getByRole("button", { name: "Repeat" }).click();
    await said(page, "Done: the same tokens as before");
  },
  {
    open: () => (hooks) => {
      const loading = { device: "cpu", dtype: "auto", cpuProvider: "wasm", threads: 1 } as const;
      return HostedModel.open({ place: { folder: "demo" }, loading }, hooks);
    },
  },
);

Deno.test({
  name: "page: the browser is closed",
  sanitizeOps: false,
  sanitizeResources: false,
  ignore: problem !== "",
  fn: async () => {
    await (await started)?.close();
  },
});

Deno.test("jobOf: how much is done grows from 0 to 1", () => {
  const job = jobOf([
    { type: "queued", job: "1", title: "", form: { labels: [], options: {} }, parts: ["plain", "beam"] },
    { type: "started", job: "1" },
    { type: "batch", job: "1", part: 0, batch: 0, batches: 2 },
    { type: "scale", job: "1", part: 0, batch: 0, scale: 0, scales: 4, width: 1, height: 1, lanes: 1 },
  ]);
  assertEquals(progressOf(job!), 1 / 16);
  assertEquals(jobOf([{ type: "started", job: "1" }]), undefined);
});

Deno.test("after: who is told everything anew forgets what the studio has forgotten", () => {
  const queued = {
    type: "queued",
    job: "1",
    title: "",
    form: { labels: [], options: {} },
    parts: ["plain"],
  } as const;
  const ended = { type: "ended", job: "1", state: "done" } as const;
  const known = [queued, ended].reduce(after, NOTHING);
  assertEquals([known.latest, known.jobs["1"]!.state], ["1", "done"]);
  const hello = { type: "hello", version: "2", model: NOTHING.model, history: [], events: [] } as const;
  assertEquals(after(known, hello).jobs, {});
});

Deno.test("whyChosen: says what the decision says", () => {
  const choice = {
    ...{
      max: 6,
      mean: 2,
      ratio: 3,
      low: false,
      unique: 50,
      chosen: 9,
      probability: 0.5,
      samples: 50,
      alpha: 1.7,
    },
    kept: [{ candidate: 9, probability: 0.5 }, { candidate: 1, probability: 0.5 }],
  };
  assertEquals(whyChosen(choice, { strategy: "var-scaling", pick: "argmax" }), [
    "50 candidates drawn, all different.",
    "The greatest density is 3 × the mean, and α is 1.7: this counts as high density, so the densest are looked at first.",
    "2 kept, none within the conflict threshold of one before it; 48 dropped, as copies, as too close to a kept one, or as there were enough.",
    "Candidate 9 was taken as the densest of the kept.",
  ]);
  assertEquals(whyChosen(choice, { conflictThreshold: "0" })[2], "2 kept, and 48 dropped.");
  assertEquals(
    whyChosen(choice, {})[3],
    "Candidate 9 was taken from the kept; its share of their density is 50 %.",
  );
});

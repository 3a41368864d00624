/**
 * The kernels in a page: `kernels/mod.ts` bundled for a browser and called in headless Chromium, on the CPU
 * and on WebGPU, whose driver there is SwiftShader, software that comes with the browser.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { requireChromium } from "../required.ts";
import type { PageReport } from "./page.ts";
import { answersOn } from "./page_calls.ts";

/** Names of the program; Debian's package `chromium-headless-shell` is the smallest that has it. */
const BROWSERS = ["chromium-headless-shell", "chromium", "google-chrome"];
/** Starting the browser and compiling four kernels take 3 s on two idle cores. */
const PATIENCE = 120_000;

async function findBrowser(): Promise<string | undefined> {
  for (const name of BROWSERS) {
    try {
      const { success } = await new Deno.Command(name, { args: ["--version"], stderr: "null" }).output();
      if (success) return name;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** The page's script, or why there is none: Deno fetches the bundler, esbuild, the first time. */
async function bundle(): Promise<{ script: string; problem: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "browser", fileURLToPath(new URL("page.ts", import.meta.url))],
    stderr: "piped",
  }).output();
  const [script, said] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)) as [string, string];
  return { script, problem: success ? "" : `"deno bundle" fails: ${said}` };
}

/**
 * Opens a page with this script and returns what it sends. The browser, told to print the page, ends when the
 * page has loaded: an image that comes after the report keeps it from that.
 */
async function openPage(browser: string, script: string): Promise<PageReport> {
  const { promise: report, resolve } = Promise.withResolvers<PageReport>();
  const html = `<!doctype html><script type="module" src="/page.js"></script><img src="/last.svg">`;
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    switch (new URL(request.url).pathname) {
      case "/":
        return new Response(html, { headers: { "content-type": "text/html" } });
      case "/page.js":
        return new Response(script, { headers: { "content-type": "text/javascript" } });
      case "/report":
        resolve(await request.json());
        return new Response();
      default:
        await report;
        return new Response(null, { status: 404 });
    }
  });
  const profile = await Deno.makeTempDir({ prefix: "varscale-page-" });
  const timer = setTimeout(() => resolve({ failure: `It sent nothing within ${PATIENCE} ms` }), PATIENCE);
  const { stderr } = await new Deno.Command(browser, {
    args: [
      "--headless",
      "--dump-dom",
      // A container's root has no other choice, and the page is ours.
      "--no-sandbox",
      "--enable-unsafe-webgpu",
      "--use-webgpu-adapter=swiftshader",
      `--user-data-dir=${profile}`,
      `http://127.0.0.1:${server.addr.port}/`,
    ],
    stdout: "null",
    stderr: "piped",
  }).output();
  clearTimeout(timer);
  await Deno.remove(profile, { recursive: true });
  resolve({ failure: `${browser} ended before the page was done: ${new TextDecoder().decode(stderr)}` });
  return await report;
}

/** The largest difference, as a share of the largest wanted value. */
function difference(found: readonly number[], wanted: readonly number[]): number {
  assertEquals(found.length, wanted.length);
  const most = Math.max(...wanted.map(Math.abs));
  return Math.max(...found.map((value, i) => Math.abs(value - wanted[i]!))) / most;
}

const browser = await findBrowser();
const { script, problem } = browser === undefined
  ? { script: "", problem: `there is no Chromium: ${BROWSERS.join(", ")}` }
  : await bundle();

Deno.test({
  name: `page: kernels in a page give what they give here${problem && ` (${problem})`}`,
  ignore: problem !== "" && !requireChromium,
  fn: async () => {
    if (browser === undefined || problem !== "") throw new Error(`Cannot open a page as ${problem}`);
    const { cpu, webgpu, opened, failure } = await openPage(browser, script);
    assertEquals(failure, undefined);
    using device = new CpuDevice();
    const wanted = await answersOn(device);
    assertEquals(cpu, { ...wanted, name: `CPU (${navigator.hardwareConcurrency} threads)` });
    assertEquals(opened, "cpu");
    assertEquals(webgpu!.name, "google swiftshader");
    assertEquals(webgpu!.nearest, wanted.nearest);
    assertEquals(webgpu!.sample, wanted.sample);
    // Both are f32 with few terms: seen are 2.2e-7 and 1.2e-7.
    assert(difference(webgpu!.kde, wanted.kde) < 1e-6);
    assert(difference(webgpu!.distances, wanted.distances) < 1e-6);
  },
});

/**
 * What a page runs: `page_test.ts` bundles this module for a browser, and it sends back what it found.
 *
 * @module
 */

import { CpuDevice, openDevice, WebGpuDevice } from "../../kernels/mod.ts";
import { type Answers, answersOn } from "./page_calls.ts";

/** What a page sends. */
export interface PageReport {
  /** What the twins returned. */
  readonly cpu?: Answers;
  /** What the kernels returned. */
  readonly webgpu?: Answers;
  /** The kind of device that is opened for those who do not ask for one. */
  readonly opened?: string;
  /** What went wrong. */
  readonly failure?: string;
}

async function report(): Promise<PageReport> {
  try {
    using cpu = new CpuDevice();
    using webgpu = await WebGpuDevice.open();
    using opened = await openDevice();
    return { cpu: await answersOn(cpu), webgpu: await answersOn(webgpu), opened: opened.kind };
  } catch (error) {
    return { failure: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) };
  }
}

// Only a page has a document.
if ("document" in globalThis) {
  await fetch("/report", { method: "POST", body: JSON.stringify(await report()) });
}

/**
 * Deno's own kernel, headless: what cells show, what its interrupt button does by itself, and what it does to
 * a long cell.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { JupyterKernel, type Output } from "../../../tools/notebooks/kernel.ts";
import { ConnectionEnded } from "../../../tools/notebooks/zmtp.ts";
import { ROOT } from "../../cli/run.ts";

const POSIX = Deno.build.os !== "windows";

/** An output of the wanted kind. */
function outputAs<Type extends Output["output_type"]>(
  type: Type,
  output: Output | undefined,
): Extract<Output, { output_type: Type }> {
  assertEquals(output?.output_type, type);
  return output as Extract<Output, { output_type: Type }>;
}

async function inKernel(use: (kernel: JupyterKernel) => Promise<void>): Promise<void> {
  const cwd = await Deno.makeTempDir({ prefix: "varscale-kernel-" });
  try {
    await using kernel = await JupyterKernel.start({ cwd });
    await use(kernel);
    await kernel[Symbol.asyncDispose]();
    assert(kernel.ended);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

Deno.test("JupyterKernel: outputs of a cell are all there, in order, and belong to it", async () => {
  await inKernel(async (kernel) => {
    // A result comes after the kernel calls itself idle about once in four times.
    for (let i = 0; i < 30; i++) {
      const { count, outputs } = await kernel.execute(`${i} + 1`);
      assertEquals(count, i + 1);
      const data = { "text/plain": `${i + 1}` };
      assertEquals(outputs, [{ output_type: "execute_result", execution_count: i + 1, data, metadata: {} }]);
    }
    await kernel.execute("let kept");
    // So does what is printed come after an error, more seldom.
    for (let i = 0; i < 30; i++) {
      const { outputs } = await kernel.execute(
        `console.log("a"); console.log("b"); console.error("c"); kept = ${i}; throw new TypeError("d")`,
      );
      assertEquals(outputs.slice(0, -1), [
        { output_type: "stream", name: "stdout", text: "a\nb\n" },
        { output_type: "stream", name: "stderr", text: "c\n" },
      ]);
      const error = outputAs("error", outputs.at(-1));
      assertEquals([error.ename, error.evalue], ["TypeError", "d"]);
    }
    assertEquals((await kernel.execute("kept + 1")).outputs.length, 1);
  });
});

Deno.test("JupyterKernel: displays stand as they were last updated, also by a later cell", async () => {
  await inKernel(async (kernel) => {
    const show = (text: string, update: boolean): string =>
      `await Deno.jupyter.display({ "text/plain": "${text}" }, { raw: true, display_id: "x", update: ${update} });`;
    const first = await kernel.execute(`${show("a", false)} ${show("b", true)} ${show("c", true)}`);
    assertEquals(first.updates, 2);
    assertEquals(first.outputs, [{ output_type: "display_data", data: { "text/plain": "c" }, metadata: {} }]);
    const second = await kernel.execute(show("d", true));
    assertEquals([second.outputs.length, second.updates], [0, 1]);
    assertEquals(first.outputs, [{ output_type: "display_data", data: { "text/plain": "d" }, metadata: {} }]);
  });
});

Deno.test("JupyterKernel: a message of megabytes arrives whole", async () => {
  await inKernel(async (kernel) => {
    const { outputs, largest } = await kernel.execute(
      `Deno.jupyter.display({ "text/plain": "x".repeat(3e6) }, { raw: true }); undefined`,
    );
    const { data } = outputAs("display_data", outputs[0]);
    assertEquals((data["text/plain"] as string).length, 3e6);
    assert(largest > 3e6);
  });
});

Deno.test({
  name: "JupyterKernel: the interrupt button ends the kernel, whatever it does",
  ignore: !POSIX,
  fn: async () => {
    await inKernel(async (kernel) => {
      const cell = kernel.execute(
        `console.log("begun"); await new Promise((resolve) => setTimeout(resolve, 1e6))`,
      );
      const ended = assertRejects(() => cell, ConnectionEnded, "The kernel has ended");
      await new Promise((resolve) => setTimeout(resolve, 200));
      kernel.interrupt();
      await ended;
      await kernel.untilEnded();
    });
  },
});

Deno.test({
  name: "JupyterKernel: the interrupt button stops a long cell, and the kernel keeps what it has",
  ignore: !POSIX,
  fn: async () => {
    const url = new URL("mod.ts", `file://${ROOT}`);
    await inKernel(async (kernel) => {
      await kernel.execute(`import { generateLive, loadModel, longCell } from ${JSON.stringify(url.href)};
        const model = await loadModel("demo", { device: "cpu", cpuProvider: "wasm" });`);
      // The cell says when it is at work.
      const file = await Deno.makeTempFile();
      const cell = kernel.execute(`await longCell(async ({ signal, progress }) => {
        progress(3, 9);
        await Deno.writeTextFile(${JSON.stringify(file)}, "begun");
        await generateLive(model, { labels: "red torus", count: 100_000, batch: 1, signal });
      })`);
      while (await Deno.readTextFile(file) === "") await new Promise((resolve) => setTimeout(resolve, 20));
      await Deno.remove(file);
      kernel.interrupt();
      const { outputs } = await cell;
      const error = outputAs("error", outputs.at(-1));
      assertEquals([error.ename, error.evalue], [
        "AbortError",
        "The cell was stopped by the interrupt button",
      ]);
      const bar = outputAs(
        "display_data",
        outputs.find((output) => "data" in output && "text/html" in output.data),
      );
      assertStringIncludes(String(bar.data["text/plain"]), "3 of 9");
      const after = await kernel.execute(
        `(await generateLive(model, { labels: "red torus", previews: false })).images.length`,
      );
      assertEquals(outputAs("execute_result", after.outputs.at(-1)).data["text/plain"], "1");
    });
  },
});

Deno.test("JupyterKernel: a picture beyond 8 MiB comes as a link, and its file lies beside the notebook", async () => {
  const url = new URL("mod.ts", `file://${ROOT}`);
  const cwd = await Deno.makeTempDir({ prefix: "varscale-kernel-" });
  try {
    await using kernel = await JupyterKernel.start({ cwd });
    const { outputs, largest } = await kernel.execute(`import { RgbaImage } from ${JSON.stringify(url.href)};
      const image = new RgbaImage(1800, 1200);
      for (let at = 0; at < image.data.length; at += 65536) {
        crypto.getRandomValues(image.data.subarray(at, at + 65536));
      }
      for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
      image`);
    const html = String(outputAs("execute_result", outputs[0]).data["text/html"]);
    const [, path] = /href="(varscale_outputs\/[0-9a-f]{16}\.png)"/.exec(html)!;
    const { size } = await Deno.stat(`${cwd}/${path}`);
    assert(size * 4 / 3 > 8 * 2 ** 20 && largest < 8 * 2 ** 20, `${size} bytes, ${largest} shown`);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
});

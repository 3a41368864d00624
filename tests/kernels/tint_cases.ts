/**
 * What Tint, the shader compiler of Chrome and Edge, makes of the shaders, as tests for a process of its own:
 * `compilers_test.ts` runs them, with `--no-lock`, so that the project's lock file does not take up a package
 * of 132 MB. Tint comes in Dawn's build for Node, with its null backend: it compiles and checks everything
 * and needs neither a driver nor a GPU.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { allKernels, combinations, completeText, overridesOf, shadersIn } from "../shaders.ts";

/** In a variable, as Deno fetches every package whose name it finds in an import. */
const PACKAGE: string = "npm:webgpu@0.6.2";

const { create, globals } = await import(PACKAGE) as {
  create(options: readonly string[]): GPU;
  globals: Record<string, unknown>;
};
const dawn = create(["backend=null"]);
// Also keeps it alive, which a device of Dawn's does not: collected before it, it takes the process along.
Object.assign(globalThis, globals, { dawn });
const adapter = await dawn.requestAdapter();
// A device gets WebGPU's default limits unless it asks for more.
const device = await adapter!.requestDevice();

/** What the compiler says against a shader with one of these sets of constants, warnings included. */
async function complaints(code: string, sets: readonly Record<string, number>[]): Promise<string[]> {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  const { messages } = await module.getCompilationInfo();
  const lines = messages.map(({ type, lineNum, linePos, message }) => {
    return `${type} at ${lineNum}:${linePos}: ${message}: ${code.split("\n")[lineNum - 1]?.trim()}`;
  });
  if (await device.popErrorScope() !== null) return lines;
  for (const constants of sets) {
    device.pushErrorScope("validation");
    device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main", constants } });
    const error = await device.popErrorScope();
    if (error !== null) lines.push(`with ${JSON.stringify(constants)}: ${error.message}`);
  }
  return lines;
}

Deno.test("shaders: tint takes every kernel with every combination of its constants", async () => {
  let pipelines = 0;
  const texts: string[] = [];
  for (const { path, kernel } of await allKernels()) {
    const sets = combinations(overridesOf(kernel));
    assertEquals(await complaints(kernel.wgsl, sets), [], path);
    texts.push(kernel.wgsl);
    pipelines += sets.length;
  }
  // 288 of them are distance.wgsl's.
  assert(pipelines > 350, `${pipelines} pipelines`);
  for (const { path, text } of await shadersIn("kernels/")) {
    assert(texts.some((complete) => complete.includes(text)), `${path} is part of no exported kernel`);
  }
});

Deno.test("shaders: tint takes the naive versions of the bench", async () => {
  const kernels = await shadersIn("kernels/");
  const naive = await shadersIn("bench/naive/");
  assert(naive.length > 20);
  for (const shader of naive) {
    const wgsl = completeText(shader, kernels);
    assertEquals(await complaints(wgsl, combinations(overridesOf({ wgsl }))), [], shader.path);
  }
});

Deno.test("shaders: tint refuses what other compilers let pass, so that it is the one which is asked", async () => {
  const mixed =
    "@compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3u) { _ = id.x >> 1u & 1u; }";
  assertMatch((await complaints(mixed, [{}])).join("\n"), /mixing '>>' and '&' requires parenthesis/);
  const divergent = "@compute @workgroup_size(8) fn main(@builtin(local_invocation_index) lane: u32) " +
    "{ if (lane == 0u) { workgroupBarrier(); } }";
  assertMatch(
    (await complaints(divergent, [{}])).join("\n"),
    /must only be called from uniform control flow/,
  );
  const wide = "@compute @workgroup_size(512) fn main() {}";
  assertMatch((await complaints(wide, [{}])).join("\n"), /512/);
});

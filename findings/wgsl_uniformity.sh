#!/usr/bin/env bash
# In WGSL every thread of a workgroup must reach a barrier or none, and a compiler has to refuse a shader in
# which it cannot see that they do. Deno's compiler (naga) does not look, Chrome's (Tint) does, so a barrier
# in a branch by thread compiles in Deno and not in a browser. Compiles four shaders by each, runs none,
# prints what they say; exits with 1 if that is no longer so.
#
# Needs Node with npx. Installs deno@2.9.6 and webgpu@0.6.2 (132 MB, no GPU needed for it) in a folder of its
# own and removes it; Deno's side needs a Vulkan driver, software is enough (Debian: mesa-vulkan-drivers).
# Rule: https://www.w3.org/TR/WGSL/#uniformity
# Known as https://github.com/gfx-rs/wgpu/issues/4369
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export DENO_DIR="$folder/deno" NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$folder}"

cat >"$folder/compile.ts" <<'TS'
// Compiles shaders by one of the two and prints a line each: "name: taken" or "name: refused (why)".
const [which] = Deno.args;
let gpu = navigator.gpu;
if (which === "Tint") {
  const { create, globals } = await import("npm:webgpu@0.6.2");
  Object.assign(globalThis, globals);
  // Kept on globalThis, as the addon does not keep it alive itself.
  gpu = globalThis.dawn = create(["backend=null"]);
}
const bodies = {
  "for all threads": "workgroupBarrier();",
  "workgroupBarrier for one thread": "if (lane == 0u) { workgroupBarrier(); }",
  "storageBarrier in a loop by thread": "for (var i = 0u; i < lane; i++) { storageBarrier(); }",
  "workgroupUniformLoad for one thread": "if (lane == 0u) { let x = workgroupUniformLoad(&shared_word); }",
};
const device = await (await gpu.requestAdapter()).requestDevice();
for (const [name, body] of Object.entries(bodies)) {
  const code = `var<workgroup> shared_word: u32;
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) lane: u32) {
  ${body}
}`;
  device.pushErrorScope("validation");
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  const refused = await device.popErrorScope() !== null;
  console.log(`${which}, ${name}: ${refused ? `refused (${messages[0].message.split("\n", 1)[0]})` : "taken"}`);
}
Deno.exit();
TS

deno() { npx --yes deno@2.9.6 "$@"; }
deno --version | head -n 1
found=$(
  for which in naga Tint; do
    deno run --quiet --no-check --no-lock --allow-all "$folder/compile.ts" "$which"
  done
)
echo "$found"

wanted="naga, for all threads: taken
naga, workgroupBarrier for one thread: taken
naga, storageBarrier in a loop by thread: taken
naga, workgroupUniformLoad for one thread: taken
Tint, for all threads: taken
Tint, workgroupBarrier for one thread: refused ('workgroupBarrier' must only be called from uniform control flow)
Tint, storageBarrier in a loop by thread: refused ('storageBarrier' must only be called from uniform control flow)
Tint, workgroupUniformLoad for one thread: refused ('workgroupUniformLoad' must only be called from uniform control flow)"
if [ "$found" = "$wanted" ]; then
  echo "As described: Deno takes barriers that not all threads reach, Chrome's compiler refuses them."
else
  echo "The behaviour has changed."
  exit 1
fi

#!/usr/bin/env bash
# WGSL wants parentheses where a shift meets &, | or ^, and where two of those meet each other or && meets ||.
# Deno's compiler (naga) takes such mixtures without a word, Chrome's (Tint) refuses them, so a shader that
# works in Deno may not compile in a browser. Prints what each says to four small valid or invalid shaders;
# exits with 1 if that is no longer so.
#
# Needs Node with npx. Installs deno@2.9.6 and webgpu@0.6.2 (132 MB, no GPU needed for it) in a folder of its
# own and removes it; Deno's side needs a Vulkan driver, software is enough (Debian: mesa-vulkan-drivers).
# Rule: https://www.w3.org/TR/WGSL/#operator-precedence-associativity
# Known as https://github.com/gfx-rs/wgpu/issues/4536
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
const expressions = {
  "parentheses": "(id.x >> 3u) & 1u",
  "shift and &": "id.x >> 3u & 1u",
  "| and shift": "id.x | id.y << 8u",
  "& and |": "id.x & 1u | id.y",
};
const device = await (await gpu.requestAdapter()).requestDevice();
for (const [name, expression] of Object.entries(expressions)) {
  const code = `@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) id: vec3u) {
  let x = ${expression};
}`;
  device.pushErrorScope("validation");
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  const refused = await device.popErrorScope() !== null;
  console.log(`${which}, ${name}: ${refused ? `refused (${messages[0].message})` : "taken"}`);
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

wanted="naga, parentheses: taken
naga, shift and &: taken
naga, | and shift: taken
naga, & and |: taken
Tint, parentheses: taken
Tint, shift and &: refused (mixing '>>' and '&' requires parenthesis)
Tint, | and shift: refused (mixing '|' and '<<' requires parenthesis)
Tint, & and |: refused (mixing '&' and '|' requires parenthesis)"
if [ "$found" = "$wanted" ]; then
  echo "As described: Deno takes operator mixtures that WGSL forbids and Chrome's compiler refuses."
else
  echo "The behaviour has changed."
  exit 1
fi

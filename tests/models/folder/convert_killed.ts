/**
 * A conversion that kills its own process, as a power cut or `kill -9` would: after so many tensors, or at
 * the so-manieth rename.
 *
 *     deno run -A convert_killed.ts VAR VAE OUTPUT DTYPE tensors|renames COUNT
 *
 * @module
 */

import { createModelFolder } from "../../../models/folder/folder_writer.ts";
import { convertModel } from "../../../models/convert.ts";

const [transformer, tokenizer, output, dtype, what, count] = Deno.args as [
  string,
  string,
  string,
  "f32" | "q4",
  "tensors" | "renames",
  string,
];
let left = Number(count);
const step = (): void => {
  if (--left === 0) Deno.kill(Deno.pid, "SIGKILL");
};
if (what === "renames") {
  const rename = Deno.rename;
  Deno.rename = async (from, to) => {
    await rename(from, to);
    step();
  };
}
await using writer = await createModelFolder(output, { overwrite: true, weightFileBytes: 100_000 });
await convertModel({ var: transformer, vae: tokenizer }, writer, {
  dtype,
  name: "killed",
  ...(what === "tensors" ? { onProgress: step } : {}),
});

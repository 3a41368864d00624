/**
 * Reads all weights of a virtual folder of the checkpoint that its argument names, in a process of its own,
 * as a runtime does that copies them: piece by piece. Prints by how many bytes the most memory that the
 * process has held grew meanwhile, and how many bytes there were.
 *
 * @module
 */

import type { SourceBlob } from "../../../models/checkpoint/blob.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { createVirtualFolder } from "../../../models/folder/virtual_folder.ts";
import { FACTS } from "./small_folder.ts";

function peak(): number {
  return 1024 * Number(/^VmHWM:\s*(\d+)/m.exec(Deno.readTextFileSync("/proc/self/status"))![1]);
}

await using writer = createVirtualFolder("streamed");
const checkpoint = writer.own(await openCheckpoint(Deno.args[0]!));
const entries = Array.from(checkpoint.tensors.values(), (info) => ({
  ...info,
  bytes: () => checkpoint.read(info.name),
  stored: checkpoint.stored(info.name),
}));
await writer.writeTensors("part", entries);
using folder = await writer.finish(FACTS);
using weights = await folder.weights("part");
const before = peak();
let bytes = 0;
for (const { data } of weights.files) {
  for (const name of weights.tensors.keys()) {
    const { offset, length } = weights.places(name);
    for await (const piece of (data as SourceBlob).slice(offset, offset + length).pieces()) {
      bytes += piece.length;
    }
  }
}
console.log(JSON.stringify({ grown: peak() - before, bytes }));

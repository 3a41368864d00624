/**
 * Reads the archives of `varscale npz` for the tests, as NumPy does.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";

/** The array of an archive, read by the rules of ZIP and NPY alone. */
export function readArray(path: string): { shape: string; data: Uint8Array } {
  const file = Deno.readFileSync(path);
  const view = new DataView(file.buffer);
  // The end records lead to the directory, that to the member.
  const end = file.length - 22;
  assertEquals([view.getUint32(end, true), view.getUint32(end - 20, true)], [0x06054b50, 0x07064b50]);
  const end64 = Number(view.getBigUint64(end - 12, true));
  assertEquals(view.getUint32(end64, true), 0x06064b50);
  const entry = Number(view.getBigUint64(end64 + 48, true));
  assertEquals(view.getUint32(entry, true), 0x02014b50);
  assertEquals(view.getUint16(entry + 10, true), 0, "stored");
  const size = Number(view.getBigUint64(entry + 46 + 9 + 4, true));
  const start = view.getUint32(entry + 42, true);
  assertEquals(new TextDecoder().decode(file.subarray(start + 30, start + 39)), "arr_0.npy");
  const content = start + 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
  const member = file.subarray(content, content + size);
  assertEquals(entry, content + size);
  assertEquals(crc32(member), view.getUint32(start + 14, true));
  assertEquals(crc32(member), view.getUint32(entry + 16, true));
  const length = 10 + new DataView(member.buffer, member.byteOffset).getUint16(8, true);
  assertEquals(length % 64, 0);
  const header = new TextDecoder("latin1").decode(member.subarray(10, length));
  const [, shape] = /^\{'descr': '\|u1', 'fortran_order': False, 'shape': \((.+)\), \} *\n$/.exec(header)!;
  return { shape: shape!, data: member.subarray(length) };
}

/**
 * Who computes on the CPU in tests. Without the permission for native libraries `"auto"` takes WebAssembly,
 * so a test means the same whether or not somebody has fetched the library. What that one does has tests in
 * processes of their own, which say `--native`.
 *
 * @module
 */

/** Whether the command line says `--native`. */
export const native: boolean = Deno.args.includes("--native");

if (!native) await Deno.permissions.revoke({ name: "ffi" });

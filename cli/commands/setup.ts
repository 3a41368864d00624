/**
 * `varscale setup native`: the native library, fetched once, for all that compute on the CPU from then on.
 *
 * @module
 */

import { type NativeLibrary, nativeLibrary } from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, say, UsageError } from "../io.ts";
import { type Arguments, refuseOperands, section } from "../options/options.ts";
import { quietOption } from "../options/output_options.ts";
import { size } from "../output/units.ts";

const OPTIONS = section("Options", { quiet: quietOption("errors") });

/** Puts a package into the cache that all programs share, whatever the folder that this runs in says. */
const WHERE = ["--no-lock", "--no-config", "--node-modules-dir=none"];

/** The command. */
export const setup = command({
  usage: ["native [OPTIONS]"],
  description: [
    "native is ONNX Runtime's own library for the CPU, several times as fast as WebAssembly. Its package goes to Deno's cache, " +
    "where all programs share it, and into no lock file. From then on it is taken wherever native libraries are allowed (--allow-ffi) " +
    "and --cpu-provider says nothing else. What is there already is not fetched again.",
    "Deno fetches it in a process of its own, for which --allow-run is needed.",
  ],
  options: OPTIONS,
  examples: ["native"],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const [what] = operands;
  refuseOperands(operands, 1);
  if (what !== "native") {
    const given = what === undefined ? "" : `: current value is "${what}"`;
    throw new UsageError(`What to set up must be native${given}`);
  }
  const before = await nativeLibrary();
  const absent = before.state === "absent";
  if (absent) await fetchPackage(before, options.quiet ?? false, io);
  const { state, reason, folder } = absent ? await nativeLibrary() : before;
  if (state !== "ready") throw new Error(`Cannot compute natively by ${folder}: ${reason}`);
  if (!options.quiet) {
    io.out(`the native library ${absent ? "is there now" : "was there already"}: ${folder}\n`);
  }
}

/**
 * Has Deno fetch the package, in a process of its own: an import here would end up in a lock file.
 *
 * @throws {Error} If that is not possible, with what to do about it.
 */
async function fetchPackage(
  { package: name, folder, shared, bytes }: NativeLibrary,
  quiet: boolean,
  io: Io,
): Promise<void> {
  if (!shared) {
    refuse(name, `packages of this project lie in its folder node_modules; "deno add ${name}" puts it there`);
  }
  // Without it nobody could tell whether the library loads, or use it.
  if ((await Deno.permissions.query({ name: "ffi", path: folder })).state !== "granted") {
    refuse(name, "native libraries are not allowed: run again with --allow-ffi");
  }
  if (!quiet) say(io, `fetching ${name}: ${size(bytes.download)}, ${size(bytes.disk)} on the disk`);
  // Of a terminal Deno makes its own progress bar.
  const watched = io.terminal && !quiet;
  const { success, stderr } = await deno(["cache", ...WHERE, name], watched ? "inherit" : "piped", io)
    .catch((error) => {
      io.signal.throwIfAborted();
      if (!(error instanceof Deno.errors.NotCapable)) throw error;
      return refuse(
        name,
        `no program may be started: run again with --allow-run, or "deno cache ${WHERE.join(" ")} ${name}"`,
      );
    });
  io.signal.throwIfAborted();
  if (success) return;
  if (watched) refuse(name, "Deno says above");
  const [, said = "Deno failed"] =
    /error: (.*?)(?:\n\nStack backtrace|\s*$)/s.exec(new TextDecoder().decode(stderr)) ?? [];
  refuse(name, said.replaceAll(/\n\s*(\d+: )?/g, ": "));
}

async function deno(
  args: readonly string[],
  stderr: "inherit" | "piped",
  { signal }: Io,
): Promise<{ success: boolean; stderr: Uint8Array }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { DENO_NO_PACKAGE_JSON: "1", ...(stderr === "piped" && { NO_COLOR: "1" }) },
    stdin: "null",
    stdout: "null",
    stderr,
    signal,
  });
  const child = command.spawn();
  if (stderr === "inherit") return { success: (await child.status).success, stderr: new Uint8Array() };
  return await child.output();
}

function refuse(name: string, reason: string): never {
  throw new Error(`Cannot fetch ${name} as ${reason}`);
}

/**
 * The command line of varscale: which command is meant, and with which code the program ends. 0 is success, 1
 * a failure, 2 a command line that is wrong, which names what is not there, say, 130 an interruption by
 * Ctrl-C, 143 one by SIGTERM.
 *
 * @module
 */

import { COMMANDS, type ListedCommand } from "./commands.ts";
import { Interruption, type Io, say, UsageError } from "./io.ts";
import { nearest } from "./options/nearest.ts";
import { printable } from "./output/printable.ts";
import { ERASE } from "./output/status_line.ts";
import { list } from "./output/words.ts";
import { VERSION } from "./version.ts";

/**
 * Runs a command line and returns the exit code.
 *
 * @example
 * ```ts
 * import { main } from "./main.ts";
 * import { assertEquals } from "@std/assert";
 *
 * let text = "";
 * const io = { out: (t: string) => void (text += t), err: () => {}, terminal: false };
 * assertEquals(await main(["--version"], { ...io, signal: new AbortController().signal }), 0);
 * assertEquals(text.startsWith("varscale "), true);
 * ```
 */
export async function main(args: readonly string[], io: Io): Promise<number> {
  const door = printing(io);
  try {
    const work = dispatch(args, door);
    return await (isPatient(args) ? work : Promise.race([work, overdue(io.signal)]));
  } catch (error) {
    if (io.signal.aborted) {
      const { message, code } = interruptionOf(io.signal);
      say(door, message);
      return code;
    }
    // What a shader's compiler says has lines, and so have stacks; any other message is one.
    if (args.includes("--debug")) door.err(`varscale: ${stackOf(error)}\n`);
    else if ((error as Error)?.name === "ShaderCompilationError") {
      door.err(`varscale: ${(error as Error).message}\n`);
    } else say(door, await messageOf(error));
    if (!(error instanceof UsageError)) return 1;
    const command = COMMANDS.find(({ name }) => name === args[0]);
    door.err(`Try: varscale ${command === undefined ? "" : `${command.name} `}--help\n`);
    return 2;
  }
}

/** Milliseconds that a command has for an orderly end. */
const GRACE = 400;

/** Fails when a command that was interrupted has not ended in time. */
function overdue(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => Deno.unrefTimer(setTimeout(() => reject(signal.reason), GRACE)));
  return promise;
}

/** Whether a command ends in its own time. */
function isPatient([first]: readonly string[]): boolean {
  return COMMANDS.find(({ name }) => name === first)?.patient ?? false;
}

function interruptionOf({ reason }: AbortSignal): Interruption {
  return reason instanceof Interruption ? reason : new Interruption("SIGINT");
}

/** Where an error comes from, and what it comes of. */
function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stack = error.stack ?? error.message;
  return error.cause === undefined ? stack : `${stack}\nCaused by: ${stackOf(error.cause)}`;
}

/** What an error says; of what the system says, the file and the reason. */
async function messageOf(error: unknown): Promise<string> {
  if (!(error instanceof Error)) return String(error);
  if (!/ \(os error \d+\)|unexpected NUL byte/.test(error.message)) return error.message;
  const { systemReason } = await import("../mod.ts");
  const [, path] = /: \w+ '(.*?)'(?: -> '.*')?$/s.exec(error.message) ?? [];
  return path === undefined ? systemReason(error) : `Cannot use ${path}: ${systemReason(error)}`;
}

/** The same, but nothing that a name holds steers the terminal; only our own line is drawn again. */
function printing(io: Io): Io {
  return {
    ...io,
    out: (text) => io.out(printable(text)),
    err: (text) => {
      const own = text.startsWith(ERASE) ? ERASE : "";
      io.err(own + printable(text.slice(own.length)));
    },
  };
}

async function dispatch(args: readonly string[], io: Io): Promise<number> {
  const [first, ...rest] = args;
  if (first === undefined || first === "--help" || first === "-h") {
    io.out(overview());
    return first === undefined ? 2 : 0;
  }
  if (first === "--version" || first === "-V") {
    io.out(`varscale ${VERSION}\n`);
    return 0;
  }
  const [wanted] = first === "help" ? rest : [first];
  if (wanted === undefined) {
    io.out(overview());
    return 0;
  }
  const listed = find(wanted);
  const command = await listed.load();
  if (first !== "help") return await command.run(listed, rest, io);
  io.out(command.help(listed));
  return 0;
}

function find(name: string): ListedCommand {
  const found = COMMANDS.find((command) => command.name === name);
  if (found !== undefined) return found;
  const names = [...COMMANDS.map((command) => command.name), "help"];
  const near = nearest(name, names);
  throw new UsageError(
    `Unknown ${name.startsWith("-") ? "option" : "command"} ${name}; ${
      near === undefined ? `commands are ${list(names, "and")}` : `did you mean ${near}?`
    }`,
  );
}

function overview(): string {
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(15)}${summary}`);
  return `varscale ${VERSION}: inference-time scaling of visual autoregressive image models

Usage: varscale COMMAND [OPTIONS]

Commands:
${lines.join("\n")}
  ${"help".padEnd(15)}Show the help of a command, like COMMAND --help

Start with:
  varscale generate "red torus" "blue cone" --seed 7
  varscale doctor

Exit codes: 0 success, 1 failure, 2 wrong command line, 130 interrupted, 143 terminated.
`;
}

/**
 * Mesa's drivers complain, in lines of their own, where this variable of desktops is missing, as it is in
 * containers. They look there for a window system, which nothing here opens; any folder will do.
 */
function quietMesa(): void {
  const variable = "XDG_RUNTIME_DIR";
  if (Deno.build.os !== "linux") return;
  if (Deno.permissions.querySync({ name: "env", variable }).state !== "granted") return;
  if (Deno.env.get(variable) === undefined) Deno.env.set(variable, "/tmp");
}

if (import.meta.main) {
  quietMesa();
  const controller = new AbortController();
  const listen = (signal: "SIGINT" | "SIGTERM"): void => {
    Deno.addSignalListener(signal, () => {
      const interruption = new Interruption(signal);
      // Whoever presses Ctrl-C again does not want to wait at all.
      if (controller.signal.aborted) Deno.exit(interruption.code);
      controller.abort(interruption);
    });
  };
  listen("SIGINT");
  // Windows has none that a program could hear.
  if (Deno.build.os !== "windows") listen("SIGTERM");
  const encoder = new TextEncoder();
  const write = (stream: { writeSync(bytes: Uint8Array): number }, text: string): void => {
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
  };
  const code = await main(Deno.args, {
    out: (text) => write(Deno.stdout, text),
    err: (text) => write(Deno.stderr, text),
    input: { terminal: Deno.stdin.isTerminal(), open: () => Deno.stdin.readable },
    terminal: Deno.stderr.isTerminal(),
    signal: controller.signal,
  });
  // The threads of the graph runtime would keep the process alive.
  Deno.exit(code);
}

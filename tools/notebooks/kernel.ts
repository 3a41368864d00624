/**
 * Deno's Jupyter kernel, driven without a notebook around it: started, told to execute cells, interrupted as
 * the button in a notebook does, ended. It speaks Jupyter's messaging protocol 5.3 over `zmtp.ts`. Which
 * cells, and what becomes of their outputs, is left to whoever asks.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import { ConnectionEnded, type Message, ZmtpSocket } from "./zmtp.ts";

/** An output of a cell as a notebook's file holds it, texts in one piece (nbformat 4). */
export type Output =
  | { output_type: "stream"; name: string; text: string }
  | { output_type: "display_data"; data: Bundle; metadata: Fields }
  | { output_type: "execute_result"; execution_count: number; data: Bundle; metadata: Fields }
  | { output_type: "error"; ename: string; evalue: string; traceback: readonly string[] };

/** One output in several formats, by media type. */
export type Bundle = Readonly<Record<string, unknown>>;

type Fields = Readonly<Record<string, unknown>>;

/** What became of a cell. */
export interface Executed {
  /** Its number. */
  readonly count: number;
  /** What it shows at the end: displays as they were last updated. */
  readonly outputs: readonly Output[];
  /** How often a display was updated. */
  readonly updates: number;
  /** Bytes of the largest single message that came. */
  readonly largest: number;
}

/** How a kernel is started. */
export interface KernelOptions {
  /** Its working folder: what relative imports of cells are relative to. A notebook's own folder. */
  readonly cwd: string;
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A message of Jupyter's protocol. */
interface JupyterMessage {
  readonly type: string;
  readonly parent: string | undefined;
  readonly content: Fields;
  readonly bytes: number;
}

/** Milliseconds for a kernel to start and to end. */
const PATIENCE = 120_000;

const DELIMITER = "<IDS|MSG>";
/** The type of our own messages that mark the end of a cell's outputs. */
const FENCE = "varscale_fence";

/**
 * A running kernel.
 *
 * @example
 * ```ts ignore
 * await using kernel = await JupyterKernel.start({ cwd: "docs/notebooks" });
 * const { outputs } = await kernel.execute("6 * 7");
 * ```
 */
export class JupyterKernel implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #key: string;
  readonly #session: string = crypto.randomUUID();
  readonly #sockets: { shell: ZmtpSocket; control: ZmtpSocket; iopub: ZmtpSocket };
  /** What a cell shows under a name, so that a later one may update it. */
  readonly #displays: Map<string, Output[]> = new Map();
  /** The last lines that the process itself wrote. */
  readonly #said: string[];
  #ended = false;

  private constructor(started: Started) {
    this.#process = started.process;
    this.#key = started.key;
    this.#said = started.said;
    this.#sockets = started.sockets;
    started.process.status.then(() => {
      this.#ended = true;
      this.#close();
    });
  }

  /**
   * Starts a kernel and waits until it answers.
   *
   * @throws {Error} If it does not within two minutes, with what it said.
   */
  static async start(options: KernelOptions): Promise<JupyterKernel> {
    // Another program may take one of the ports before the kernel does.
    for (let attempt = 1;; attempt++) {
      try {
        const kernel = new JupyterKernel(await startProcess(options));
        await kernel.#listen();
        return kernel;
      } catch (error) {
        if (attempt === 3) throw error;
      }
    }
  }

  /** Whether the process has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Executes a cell to its end.
   *
   * @throws {ConnectionEnded} If the kernel ends meanwhile.
   */
  async execute(code: string): Promise<Executed> {
    const request = await this.#ask("shell", "execute_request", executeContent(code, false));
    const answered = this.#reply("shell", request);
    const [{ content }, shown] = await Promise.all([answered, this.#outputs(answered)]);
    return { count: content.execution_count as number, ...shown };
  }

  /** What the interrupt button of a notebook does, as the installed kernel asks for it: `SIGINT`. */
  interrupt(): void {
    if (!this.#ended) this.#process.kill("SIGINT");
  }

  /** Waits for the process to end by itself. */
  async untilEnded(): Promise<void> {
    await this.#process.status;
  }

  /** Asks the kernel to end, and ends it if it does not. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) {
      const asked = this.#ask("control", "shutdown_request", { restart: false });
      await asked.catch(() => {});
      const timer = setTimeout(() => this.#process.kill("SIGKILL"), 5000);
      await this.#process.status;
      clearTimeout(timer);
    }
    this.#close();
  }

  #close(): void {
    for (const socket of Object.values(this.#sockets)) socket[Symbol.dispose]();
  }

  /** Waits until the kernel answers and its announcements arrive, which begin some time after connecting. */
  async #listen(): Promise<void> {
    const heard = this.#message("iopub");
    let done = false;
    heard.then(() => done = true, () => done = true);
    const until = Date.now() + PATIENCE;
    while (!done) {
      if (Date.now() > until) throw new Error("The kernel does not announce what it does");
      await this.#reply("shell", await this.#ask("shell", "kernel_info_request", {}));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await heard;
    // Whatever else came of these requests lies before a fence.
    await this.#outputs(Promise.resolve());
  }

  /**
   * What is announced for a cell. Its result or its error may come after the cell is said to be idle, and
   * before the last of what it printed, as the kernel sends them from different threads: what it ends with
   * stands last here. After all of them comes what a later, silent cell broadcasts and prints, each on its
   * way.
   */
  async #outputs(answered: Promise<unknown>): Promise<Omit<Executed, "count">> {
    const fence = crypto.randomUUID();
    const line = `console.log(${JSON.stringify(fence)});
      Deno.jupyter.broadcast(${JSON.stringify(FENCE)}, ${JSON.stringify({ fence })})`;
    const fenced = answered.then(async () => {
      await this.#reply("shell", await this.#ask("shell", "execute_request", executeContent(line, true)));
    });
    const shown: Output[] = [];
    const ends: Output[] = [];
    let updates = 0;
    let largest = 0;
    const read = async (): Promise<void> => {
      const awaited = new Set([FENCE, "stream"]);
      while (awaited.size > 0) {
        const { type, content, bytes } = await this.#message("iopub");
        if (content.fence === fence || content.text === `${fence}\n`) {
          awaited.delete(type);
          continue;
        }
        largest = Math.max(largest, bytes);
        if (type === "update_display_data") updates += 1;
        if (type === "clear_output") shown.splice(0);
        this.#take(type, content, type === "error" || type === "execute_result" ? ends : shown);
      }
    };
    await Promise.all([fenced, read()]);
    return { outputs: [...shown, ...ends], updates, largest };
  }

  #take(type: string, content: Fields, outputs: Output[]): void {
    const { transient } = content as { transient?: { display_id?: string } | null };
    const id = transient?.display_id;
    if (type === "stream") addStream(content as unknown as StreamContent, outputs);
    if (type === "error") {
      const { ename, evalue, traceback } = content as unknown as Extract<Output, { output_type: "error" }>;
      outputs.push({ output_type: "error", ename, evalue, traceback });
    }
    if (type !== "display_data" && type !== "execute_result" && type !== "update_display_data") return;
    const { data, metadata = {} } = content as { data: Bundle; metadata?: Fields };
    if (type === "update_display_data") {
      for (const shown of this.#displays.get(id ?? "") ?? []) Object.assign(shown, { data, metadata });
      return;
    }
    const output: Output = type === "display_data"
      ? { output_type: type, data, metadata }
      : { output_type: type, execution_count: content.execution_count as number, data, metadata };
    outputs.push(output);
    if (id !== undefined) this.#displays.set(id, [...this.#displays.get(id) ?? [], output]);
  }

  async #ask(channel: "shell" | "control", type: string, content: Fields): Promise<string> {
    const id = crypto.randomUUID();
    const header = {
      ...{ msg_id: id, msg_type: type, session: this.#session, username: "varscale" },
      ...{ date: new Date().toISOString(), version: "5.3" },
    };
    const parts = [header, {}, {}, content].map((part) => JSON.stringify(part));
    const text = new TextEncoder();
    const frames = [DELIMITER, signatureOf(parts, this.#key), ...parts].map((part) => text.encode(part));
    await this.#alive(() => this.#sockets[channel].send(frames));
    return id;
  }

  /** The answer to a request. */
  async #reply(channel: "shell" | "control", request: string): Promise<JupyterMessage> {
    for (;;) {
      const message = await this.#message(channel);
      if (message.parent === request) return message;
    }
  }

  async #message(channel: "shell" | "control" | "iopub"): Promise<JupyterMessage> {
    const frames = await this.#alive(() => this.#sockets[channel].receive());
    return decodeMessage(frames, this.#key);
  }

  /** Says of a connection that ended what the kernel said of it. */
  async #alive<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ConnectionEnded)) throw error;
      const said = this.#said.join("\n");
      throw new ConnectionEnded(`The kernel has ended${said === "" ? "" : `: ${said}`}`, { cause: error });
    }
  }
}

interface StreamContent {
  readonly name: string;
  readonly text: string;
}

/** What follows itself on the same stream is one output. */
function addStream({ name, text }: StreamContent, outputs: Output[]): void {
  const last = outputs.at(-1);
  if (last?.output_type === "stream" && last.name === name) last.text += text;
  else outputs.push({ output_type: "stream", name, text });
}

function executeContent(code: string, silent: boolean): Fields {
  return {
    ...{ code, silent, store_history: !silent },
    ...{ user_expressions: {}, allow_stdin: false, stop_on_error: true },
  };
}

function signatureOf(parts: readonly (string | Uint8Array)[], key: string): string {
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return hmac.digest("hex");
}

/** What frames say, if they are signed with the key: identities, delimiter, signature, four JSON texts. */
function decodeMessage(frames: Message, key: string): JupyterMessage {
  const text = new TextDecoder();
  const at = frames.findIndex((frame) => text.decode(frame) === DELIMITER);
  const [signature, ...parts] = frames.slice(at + 1, at + 6);
  if (at < 0 || parts.length < 4) throw new Error("The kernel sends no message of Jupyter's protocol");
  if (text.decode(signature) !== signatureOf(parts, key)) {
    throw new Error("The kernel signs a message with another key");
  }
  const [header, parent, , content] = parts.map((part) => JSON.parse(text.decode(part)));
  const bytes = frames.reduce((sum, { length }) => sum + length, 0);
  return { type: header.msg_type, parent: parent?.msg_id, content, bytes };
}

/** A kernel that answers its connections. */
interface Started {
  readonly process: Deno.ChildProcess;
  readonly key: string;
  readonly said: string[];
  readonly sockets: { shell: ZmtpSocket; control: ZmtpSocket; iopub: ZmtpSocket };
}

async function startProcess({ cwd, env = {} }: KernelOptions): Promise<Started> {
  const key = crypto.randomUUID();
  const ports = freePorts(["shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"]);
  const hostname = "127.0.0.1";
  const file = await Deno.makeTempFile({ prefix: "varscale-kernel-", suffix: ".json" });
  // The key gives whoever has it all that the kernel may do.
  await Deno.writeTextFile(
    file,
    JSON.stringify({ transport: "tcp", ip: hostname, ...ports, signature_scheme: "hmac-sha256", key }),
    { mode: 0o600 },
  );
  const process = new Deno.Command(Deno.execPath(), {
    args: ["jupyter", "--kernel", "--conn", file],
    cwd,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let over = false;
  process.status.then(() => over = true);
  const said: string[] = [];
  for (const stream of [process.stdout, process.stderr]) collect(stream, said);
  const connected: ZmtpSocket[] = [];
  try {
    const until = Date.now() + PATIENCE;
    const connect = async (type: "DEALER" | "SUB", port: number): Promise<ZmtpSocket> => {
      for (;;) {
        try {
          const socket = await ZmtpSocket.connect(type, { hostname, port });
          connected.push(socket);
          return socket;
        } catch (error) {
          if (over || Date.now() > until) {
            throw new Error(`The kernel does not start: ${said.join("\n")}`, { cause: error });
          }
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    };
    const sockets = {
      iopub: await connect("SUB", ports.iopub_port),
      shell: await connect("DEALER", ports.shell_port),
      control: await connect("DEALER", ports.control_port),
    };
    return { process, key, said, sockets };
  } catch (error) {
    for (const socket of connected) socket[Symbol.dispose]();
    if (!over) process.kill("SIGKILL");
    await process.status;
    throw error;
  } finally {
    await Deno.remove(file);
  }
}

/** Ports that nobody listens on, all at once, so that they differ. */
function freePorts<const Names extends readonly string[]>(names: Names): Record<Names[number], number> {
  const listeners = names.map(() => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map(({ addr }, i) => [names[i], (addr as Deno.NetAddr).port]);
  for (const listener of listeners) listener.close();
  return Object.fromEntries(ports);
}

/** Keeps the last lines of a stream; a pipe that nobody empties would stop the kernel. */
async function collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, lines: string[]): Promise<void> {
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const news = chunk.split("\n").filter((line) => line !== "" && !line.includes("deno jupyter"));
    lines.push(...news);
    lines.splice(0, lines.length - 20);
  }
}

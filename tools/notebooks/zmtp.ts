/**
 * As much of ZMTP, the protocol of ZeroMQ's sockets, as a client of a Jupyter kernel needs: version 3.0
 * (rfc.zeromq.org/spec/23) over TCP, the NULL mechanism, DEALER and SUB. What the messages say is left to
 * `kernel.ts`.
 *
 * It is written here because npm's `zeromq` 6.8.0 misses messages under Deno 2.9.6: its native sockets wait
 * for a poll of the event loop that comes only when something else wakes it.
 *
 * @module
 */

/** Bytes that one frame has at most. */
const MAX_FRAME_BYTES = 2 ** 28;

/** Bits of a frame's first byte. */
const FLAGS = { more: 1, long: 2, command: 4 };

/** What a socket sends and receives: bytes, in one or more frames. */
export type Message = readonly Uint8Array<ArrayBuffer>[];

/** The other end has closed the connection. */
export class ConnectionEnded extends Error {
  override readonly name = "ConnectionEnded";
}

/**
 * One connection of a DEALER, which sends and receives, or of a SUB, which has subscribed to everything.
 *
 * @example
 * ```ts ignore
 * await using shell = await ZmtpSocket.connect("DEALER", { hostname: "127.0.0.1", port: 5555 });
 * await shell.send([new TextEncoder().encode("hello")]);
 * const [reply] = await shell.receive();
 * ```
 */
export class ZmtpSocket implements Disposable {
  readonly #connection: Deno.TcpConn;
  /** Bytes that came and were not asked for yet. */
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array();
  #closed = false;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /**
   * Connects and greets.
   *
   * @param type What this end is.
   * @param address Where the other end listens.
   * @throws {ConnectionEnded} If the other end closes the connection or speaks something else.
   */
  static async connect(
    type: "DEALER" | "SUB",
    address: { readonly hostname: string; readonly port: number },
  ): Promise<ZmtpSocket> {
    const connection = await Deno.connect(address);
    const socket = new ZmtpSocket(connection);
    try {
      await socket.#greet(type);
      // In version 3.0 a subscription is a message: 1, and what messages begin with that are wanted.
      if (type === "SUB") await socket.send([new Uint8Array([1])]);
      return socket;
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
  }

  /** Sends a message. */
  async send(message: Message): Promise<void> {
    const last = message.length - 1;
    await this.#write(concat(message.map((frame, i) => framed(frame, i < last ? FLAGS.more : 0))));
  }

  /**
   * The next message.
   *
   * @throws {ConnectionEnded} If there will be none.
   */
  async receive(): Promise<Message> {
    const frames: Uint8Array<ArrayBuffer>[] = [];
    for (;;) {
      const { flags, bytes } = await this.#frame();
      // Commands stand between messages; a peer of this version sends none that would need an answer.
      if (flags & FLAGS.command) continue;
      frames.push(bytes);
      if (!(flags & FLAGS.more)) return frames;
    }
  }

  /** Closes the connection; whoever waits for a message gets a {@linkcode ConnectionEnded}. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }

  async #greet(type: string): Promise<void> {
    const greeting = new Uint8Array(64);
    greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0]);
    greeting.set(new TextEncoder().encode("NULL"), 12);
    await this.#write(greeting);
    const theirs = await this.#read(64);
    const mechanism = new TextDecoder().decode(theirs.subarray(12, 32)).replace(/\0+$/, "");
    if (theirs[0] !== 0xff || theirs[9] !== 0x7f || theirs[10]! < 3 || mechanism !== "NULL") {
      throw new ConnectionEnded("The other end does not speak ZMTP 3 without authentication");
    }
    await this.#write(framed(readyCommand({ "Socket-Type": type, "Identity": "" }), FLAGS.command));
    const { flags, bytes } = await this.#frame();
    const name = new TextDecoder().decode(bytes.subarray(1, 1 + (bytes[0] ?? 0)));
    if (!(flags & FLAGS.command) || name !== "READY") {
      throw new ConnectionEnded(`The other end answers "${name}" instead of READY`);
    }
  }

  async #frame(): Promise<{ readonly flags: number; readonly bytes: Uint8Array<ArrayBuffer> }> {
    const [flags] = await this.#read(1);
    const header = await this.#read(flags! & FLAGS.long ? 8 : 1);
    const size = header.length === 1 ? header[0]! : Number(new DataView(header.buffer).getBigUint64(0));
    if (size > MAX_FRAME_BYTES) {
      throw new ConnectionEnded(`The other end sends a frame of ${size} bytes: more than ${MAX_FRAME_BYTES}`);
    }
    return { flags: flags!, bytes: await this.#read(size) };
  }

  async #read(size: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(size);
    const kept = Math.min(size, this.#rest.length);
    bytes.set(this.#rest.subarray(0, kept));
    this.#rest = this.#rest.subarray(kept);
    const chunk = new Uint8Array(2 ** 16);
    for (let at = kept; at < size;) {
      const count = await this.#ended(() => this.#connection.read(chunk));
      if (count === null) throw new ConnectionEnded("The other end has closed the connection");
      const used = Math.min(count, size - at);
      bytes.set(chunk.subarray(0, used), at);
      this.#rest = chunk.slice(used, count);
      at += used;
    }
    return bytes;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += await this.#ended(() => this.#connection.write(bytes.subarray(at)));
    }
  }

  async #ended<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ConnectionEnded(`The connection has ended: ${reason}`, { cause });
    }
  }
}

/** A frame with its header: one byte of length, or eight. */
function framed(bytes: Uint8Array, flags: number): Uint8Array<ArrayBuffer> {
  const long = bytes.length > 255;
  const header = new Uint8Array(long ? 9 : 2);
  header[0] = flags | (long ? FLAGS.long : 0);
  if (long) new DataView(header.buffer).setBigUint64(1, BigInt(bytes.length));
  else header[1] = bytes.length;
  return concat([header, bytes]);
}

/** `READY` with what this end is. */
function readyCommand(properties: Readonly<Record<string, string>>): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder();
  const parts = Object.entries(properties).flatMap(([name, value]) => {
    const [key, bytes] = [text.encode(name), text.encode(value)];
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, bytes.length);
    return [new Uint8Array([key.length]), key, size, bytes];
  });
  const name = text.encode("READY");
  return concat([new Uint8Array([name.length]), name, ...parts]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

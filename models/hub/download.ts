/**
 * Getting the content of one file onto the disk: bytes are appended to `<checksum>.incomplete`, from where an
 * earlier download has stopped, and the file gets its own name only when all of it is there and has the
 * checksum that the hub promised.
 *
 * @module
 */

import { dirname } from "node:path";
import { freeBytes } from "./cache.ts";
import { hashFor, isSha256 } from "./checksum.ts";
import { HubError } from "./hub_error.ts";
import { describePlace } from "./place.ts";
import { type HubServer, Patience, type RemoteFile } from "./server.ts";
import type { HubSettings } from "./settings.ts";

/**
 * Downloads a file's content.
 *
 * @param options Where to put it, and whether it is certain that nobody else works on it. Otherwise this
 * download keeps to itself: it neither goes on with what another has begun nor leaves anything for others to
 * go on with.
 * @throws {HubError} If it cannot be got, or is twice not what the hub promised.
 */
export async function download(
  server: HubServer,
  remote: RemoteFile,
  options: { blob: string; alone: boolean; settings: HubSettings },
): Promise<void> {
  const { blob, alone, settings } = options;
  await Deno.mkdir(dirname(blob), { recursive: true });
  const incomplete = `${blob}${alone ? "" : `.${crypto.randomUUID().slice(0, 8)}`}.incomplete`;
  try {
    // What an earlier download has left may be wrong, so a first failure is no reason to give up.
    for (const last of [false, true]) {
      const found = await complete(server, remote, { incomplete, settings });
      if (found === undefined || found === remote.etag) break;
      await Deno.remove(incomplete);
      if (!last) continue;
      throw new HubError(
        "corrupt",
        `Cannot download ${subjectOf(remote)}: its ${
          isSha256(found) ? "SHA-256" : "git object name"
        } is ${found}, ` +
          `and the hub promised ${remote.etag}; it was fetched twice and is not kept`,
      );
    }
    await Deno.rename(incomplete, blob);
  } catch (error) {
    if (!alone) await Deno.remove(incomplete).catch(() => {});
    throw error;
  }
}

function subjectOf({ name, place }: RemoteFile): string {
  return `${name} of ${describePlace(place)}`;
}

/** Fetches what is missing and returns the checksum of the whole, if the hub has told one. */
async function complete(
  server: HubServer,
  remote: RemoteFile,
  options: { incomplete: string; settings: HubSettings },
): Promise<string | undefined> {
  const { incomplete, settings } = options;
  const tell = (): void => settings.onProgress({ file: remote.name, bytes: part.bytes, total: remote.bytes });
  await using part = await Part.open(incomplete, remote, settings.signal);
  const free = await freeBytes(dirname(incomplete));
  if (free !== undefined && free < remote.bytes - part.bytes) throw fullDisk(remote, part.bytes, { free });
  tell();
  const patience = new Patience(settings);
  let furthest = part.bytes;
  while (part.bytes < remote.bytes) {
    try {
      await append(server, remote, { part, tell });
    } catch (error) {
      if (part.bytes > furthest) patience.renew();
      furthest = Math.max(furthest, part.bytes);
      await patience.after(error);
    }
  }
  // Without this a power cut could leave the name of a whole file on half of one.
  await part.sync();
  return part.checksum();
}

/** Asks for the missing bytes once, and appends what comes. */
async function append(
  server: HubServer,
  remote: RemoteFile,
  options: { part: Part; tell: () => void },
): Promise<void> {
  const { part, tell } = options;
  const broken = (reason: string): HubError =>
    new HubError("unreachable", `Cannot download ${subjectOf(remote)}: ${reason}`);
  using answer = await server.open(remote, part.bytes);
  const { status, headers } = answer.response;
  if (status === 206) {
    const [, from, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "") ?? [];
    if (Number(from) !== part.bytes || (total !== "*" && Number(total) !== remote.bytes)) {
      await part.restart();
      throw broken(`${answer.url.host} answered with other bytes than were asked for`);
    }
  } else {
    await part.restart();
    if (status === 416) throw broken(`${answer.url.host} has a shorter file than the hub promised`);
  }
  for await (const chunk of answer.chunks()) {
    if (part.bytes + chunk.length > remote.bytes) {
      await part.restart();
      throw broken(`${answer.url.host} sent more than the ${remote.bytes} bytes that the hub promised`);
    }
    await part.append(chunk);
    tell();
  }
  if (part.bytes < remote.bytes) {
    throw broken(`${answer.url.host} stopped after ${part.bytes} of ${remote.bytes} bytes`);
  }
}

/** The beginning of a file, with the checksum so far. */
class Part implements AsyncDisposable {
  readonly #path: string;
  readonly #remote: RemoteFile;
  #file: Deno.FsFile;
  #hash: ReturnType<typeof hashFor>;
  #bytes = 0;

  private constructor(path: string, remote: RemoteFile, file: Deno.FsFile) {
    this.#path = path;
    this.#remote = remote;
    this.#file = file;
    this.#hash = hashFor(remote);
  }

  /** Opens what is there, or a new file. */
  static async open(path: string, remote: RemoteFile, signal: AbortSignal | undefined): Promise<Part> {
    const part = new Part(
      path,
      remote,
      await Deno.open(path, { read: true, write: true, create: true }),
    );
    try {
      const chunk = new Uint8Array(1 << 20);
      for (let count; (count = await part.#file.read(chunk)) !== null;) {
        signal?.throwIfAborted();
        part.#take(chunk.subarray(0, count));
      }
      if (part.#bytes > remote.bytes) await part.restart();
      return part;
    } catch (error) {
      part.#file.close();
      throw error;
    }
  }

  /** Bytes that are there. */
  get bytes(): number {
    return this.#bytes;
  }

  async append(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length;) {
      let count: number;
      try {
        count = await this.#file.write(chunk.subarray(done));
      } catch (error) {
        if ((error as { code?: string }).code !== "ENOSPC") throw error;
        const free = await freeBytes(dirname(this.#path));
        throw fullDisk(this.#remote, this.#bytes, { free, cause: error });
      }
      this.#take(chunk.subarray(done, done + count));
      done += count;
    }
  }

  /** Begins again, with a new file: where locks do not work, another process may still hold the old one. */
  async restart(): Promise<void> {
    if (this.#bytes === 0) return;
    this.#file.close();
    await Deno.remove(this.#path);
    this.#file = await Deno.open(this.#path, { read: true, write: true, createNew: true });
    this.#hash = hashFor(this.#remote);
    this.#bytes = 0;
  }

  async sync(): Promise<void> {
    await this.#file.syncData();
  }

  /** Checksum of the whole, if there is one to compare it with. */
  checksum(): string | undefined {
    return this.#hash?.digest("hex");
  }

  #take(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
    this.#bytes += bytes.length;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#file.close();
    return Promise.resolve();
  }
}

function fullDisk(
  remote: RemoteFile,
  done: number,
  details: { free: number | undefined; cause?: unknown },
): HubError {
  const { free, cause } = details;
  const room = free === undefined ? "" : `, and ${free} are free`;
  return new HubError(
    "full",
    `Cannot download ${subjectOf(remote)}: the disk is full; ${
      remote.bytes - done
    } of ${remote.bytes} bytes ` +
      `are still to come${room}; what has come is kept, so that the download goes on from there once there is room`,
    { cause },
  );
}

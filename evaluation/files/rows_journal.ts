/**
 * What a network says, written down batch by batch while it looks, so that work which was interrupted goes on
 * where it was, whatever ended it. What is finished is kept by `rows_file.ts`.
 *
 * After eight bytes with its length stands a JSON header, and then for each picture its rows as f32, one
 * output after the other. A picture that was written in part does not count.
 *
 * @module
 */

import { ModelFileError } from "../../models/model_file_error.ts";
import { systemReason } from "../../models/system_reason.ts";
import type { Rows } from "../metrics/rows.ts";
import type { MetricOutput } from "../networks/metric_network.ts";
import type { NetworkIdentity } from "./reference.ts";
import { requireNetwork } from "./rows_file.ts";

const FORMAT = "varscale-rows-journal";
const VERSION = 1;
/** Longest header that is read. */
const MAX_HEADER = 1 << 16;
/** Pictures that are read back at a time. */
const BATCH = 256;

/** What the rows of a journal are of. */
export interface JournalSubject {
  /** The network that looks. */
  readonly network: NetworkIdentity;
  /** What tells the pictures from others, as `PictureSource.fingerprint` has it. */
  readonly pictures: string;
  /** Outputs that are written down. */
  readonly outputs: readonly MetricOutput[];
}

/** What a network says of some pictures. */
export type SaidRows = Readonly<Partial<Record<MetricOutput, Rows>>>;

/** A journal that is open. Disposing it closes the file, which stays if anything stands in it. */
export class RowsJournal implements Disposable {
  /** The file. */
  readonly path: string;
  readonly #subject: JournalSubject;
  readonly #file: Deno.FsFile;
  /** Numbers of a row of each output, once one is there. */
  #dimensions: readonly number[] | undefined;
  /** First byte of the rows. */
  #start = 0;
  #done = 0;
  #isNew = false;

  private constructor(path: string, subject: JournalSubject, file: Deno.FsFile) {
    this.path = path;
    this.#subject = subject;
    this.#file = file;
  }

  /**
   * Opens a journal, or begins one.
   *
   * @throws {ModelFileError} If the file is none, or of another network, other pictures or other outputs.
   * @throws {Error} If another process is at it.
   *
   * @example
   * ```ts
   * import { RowsJournal } from "./rows_journal.ts";
   * import { assertEquals } from "@std/assert";
   *
   * const path = `${await Deno.makeTempDir()}/rows.part`;
   * const network = { name: "own", fingerprint: "1" };
   * const subject = { network, pictures: "a1b2", outputs: ["features"] as const };
   * {
   *   using journal = await RowsJournal.open(path, subject);
   *   const features = { values: new Float32Array([1, 2]), count: 1, dimensions: 2 };
   *   await journal.append({ features });
   * }
   * using again = await RowsJournal.open(path, subject);
   * assertEquals(again.done, 1);
   * await again.remove();
   * ```
   */
  static async open(path: string, subject: JournalSubject): Promise<RowsJournal> {
    const file = await Deno.open(path, { read: true, write: true, create: true });
    try {
      if (!await file.tryLock(true)) throw new Error(`Cannot write ${path}: another process is at it`);
      const journal = new RowsJournal(path, subject, file);
      await journal.#takeUp();
      return journal;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Number of pictures of which all is there. */
  get done(): number {
    return this.#done;
  }

  /** What was said so far, some pictures at a time, in their order. */
  async *read(): AsyncGenerator<SaidRows> {
    const { outputs } = this.#subject;
    for (let first = 0; first < this.#done; first += BATCH) {
      const count = Math.min(BATCH, this.#done - first);
      const bytes = await this.#bytes(this.#start + first * this.#record(), count * this.#record());
      const all = new Float32Array(bytes.buffer);
      const width = all.length / count;
      let begin = 0;
      const said: Partial<Record<MetricOutput, Rows>> = {};
      for (const [i, dimensions] of this.#dimensions!.entries()) {
        const values = new Float32Array(count * dimensions);
        for (let row = 0; row < count; row++) {
          const from = row * width + begin;
          values.set(all.subarray(from, from + dimensions), row * dimensions);
        }
        said[outputs[i]!] = { values, count, dimensions };
        begin += dimensions;
      }
      yield said;
    }
  }

  /** Adds what was said of the next pictures. */
  async append(said: SaidRows): Promise<void> {
    const parts = this.#subject.outputs.map((output) => said[output]!);
    await this.#begin(parts.map(({ dimensions }) => dimensions));
    const width = this.#record() / Float32Array.BYTES_PER_ELEMENT;
    const { count } = parts[0]!;
    const all = new Float32Array(count * width);
    for (let row = 0; row < count; row++) {
      let to = row * width;
      for (const { values, dimensions } of parts) {
        all.set(values.subarray(row * dimensions, (row + 1) * dimensions), to);
        to += dimensions;
      }
    }
    await this.#write(this.#start + this.#done * this.#record(), new Uint8Array(all.buffer));
    this.#done += count;
  }

  /** Removes the file. */
  async remove(): Promise<void> {
    await Deno.remove(this.path);
  }

  [Symbol.dispose](): void {
    this.#file.close();
    if (this.#isNew && this.#dimensions === undefined) Deno.removeSync(this.path);
  }

  /** Bytes of a picture. */
  #record(): number {
    return this.#dimensions!.reduce((sum, own) => sum + own, 0) * Float32Array.BYTES_PER_ELEMENT;
  }

  async #begin(dimensions: readonly number[]): Promise<void> {
    if (this.#dimensions !== undefined) return;
    const { network, pictures, outputs } = this.#subject;
    const facts = { format: FORMAT, version: VERSION, network, pictures, outputs, dimensions };
    const header = new TextEncoder().encode(JSON.stringify(facts));
    const bytes = new Uint8Array(8 + header.length);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
    bytes.set(header, 8);
    await this.#write(0, bytes);
    this.#dimensions = dimensions;
    this.#start = bytes.length;
  }

  /** Finds out how much is there. */
  async #takeUp(): Promise<void> {
    const { size } = await this.#file.stat();
    this.#isNew = size === 0;
    // What ended before the header was whole has said nothing.
    if (size < 8) return;
    const length = Number(new DataView((await this.#bytes(0, 8)).buffer).getBigUint64(0, true));
    if (length > MAX_HEADER) this.#refuse(" as it is none", FORMAT, "another file");
    if (8 + length > size) return;
    const facts = this.#parse(await this.#bytes(8, length));
    const { network, pictures, outputs, dimensions } = facts;
    const wanted = this.#subject;
    requireNetwork(
      this.path,
      wanted.network,
      network,
      "Cannot go on with the journal as another network made it",
    );
    if (pictures !== wanted.pictures) {
      this.#refuse(" as it is of other pictures", wanted.pictures.slice(0, 16), pictures.slice(0, 16));
    }
    if (outputs.join() !== wanted.outputs.join()) {
      this.#refuse(" as other metrics are taken", wanted.outputs.join(", "), outputs.join(", "));
    }
    this.#dimensions = dimensions;
    this.#start = 8 + length;
    this.#done = Math.floor((size - this.#start) / this.#record());
  }

  #parse(bytes: Uint8Array): JournalSubject & { readonly dimensions: readonly number[] } {
    let facts: Partial<JournalSubject & { format: string; version: number; dimensions: number[] }> | null =
      null;
    try {
      facts = JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      // Refused below.
    }
    const { format, version, network, pictures, outputs, dimensions } = facts ?? {};
    if (format !== FORMAT || !network || pictures === undefined || !Array.isArray(outputs)) {
      return this.#refuse(" as it is none", FORMAT, "another file");
    }
    if (version !== VERSION) return this.#refuse(" as its version differs", `${VERSION}`, `${version}`);
    const fit = dimensions?.length === outputs.length &&
      dimensions.every((own) => Number.isSafeInteger(own) && own > 0);
    if (!fit) return this.#refuse(" as it is damaged", "dimensions of each output", `${dimensions}`);
    return { network, pictures, outputs, dimensions };
  }

  #refuse(reason: string, expected: string, found: string): never {
    throw new ModelFileError(`Cannot go on with the journal${reason}`, { file: this.path, expected, found });
  }

  async #bytes(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    await this.#file.seek(offset, Deno.SeekMode.Start);
    for (let at = 0; at < length;) {
      const count = await this.#file.read(bytes.subarray(at));
      if (count === null) return this.#refuse(" as it has become shorter", `${length} bytes`, `${at}`);
      at += count;
    }
    return bytes;
  }

  async #write(offset: number, bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.seek(offset, Deno.SeekMode.Start);
      for (let at = 0; at < bytes.length;) at += await this.#file.write(bytes.subarray(at));
    } catch (error) {
      // A full disk, say, of which the system does not tell the file.
      throw new Error(`Cannot write ${this.path}: ${systemReason(error)}`, { cause: error });
    }
  }
}

/**
 * Where the files of a long run are: what a run asks of a folder, or of whatever takes the place of one. How
 * each is reached is left to the file of each.
 *
 * @module
 */

/** A place with files, which are called by their paths in it, such as `00007/samples/00000.png`. */
export interface SeriesPlace extends AsyncDisposable {
  /** How messages call it. */
  readonly name: string;
  /** The text of a file; `undefined` if it is not there. */
  read(file: string): Promise<string | undefined>;
  /** Writes a file whole or not at all, over what is there. */
  write(file: string, content: Uint8Array<ArrayBuffer> | string): Promise<void>;
  /** Has a folder there, in which files are written; where a place has no folders, nothing is to be done. */
  folder(path: string): Promise<void>;
  /** Removes a file, if it is there. */
  remove(file: string): Promise<void>;
  /** Names of files and folders right in it. */
  names(): AsyncIterable<string>;
  /**
   * Which of these pictures are there as a whole. What a killed process has left half-written of them is
   * removed.
   */
  whole(files: readonly string[]): Promise<ReadonlySet<string>>;
}

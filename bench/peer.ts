/**
 * Other implementations of what the kernels compute: how the report calls a library that somebody else wrote,
 * on the same numbers. The libraries themselves are in `peers/`.
 *
 * @module
 */

/** What another implementation gets: the case's numbers and its inputs as typed arrays, by name. */
export interface PeerTask {
  /** Name of the kernel, e.g. `"distance"`. */
  readonly kernel: string;
  /** The size in numbers, by name. */
  readonly shape: Readonly<Record<string, number>>;
  /** What the kernel reads, by name. */
  readonly inputs: Readonly<Record<string, Float32Array | Uint32Array>>;
}

/** Another implementation, set up on a task's data and ready to be called. */
export interface PeerRun extends AsyncDisposable {
  /** Starts one call. */
  call(): void | Promise<void>;
  /** Waits until all calls are done. */
  finish(): Promise<void>;
  /**
   * What the last call computed: the case's first output. It is compared with the twin's before anything is
   * timed.
   */
  output(): Promise<Float32Array | Uint32Array>;
  /**
   * How far the output may be from the twin's, when {@linkcode PEER_TOLERANCE} is not right: for f32 the
   * largest difference in units of the twin's largest value, for u32 the share of the words that may be
   * others.
   */
  readonly allowed?: number;
  /**
   * Takes the place of that comparison where outputs cannot be equal, as random draws: throws an `Error` if
   * the output is impossible.
   */
  check?(output: Float32Array | Uint32Array): void | Promise<void>;
}

/** How far outputs of others may be from the twin's: they sum in f32, in an order of their own. */
export const PEER_TOLERANCE = 1e-4;

/** Another implementation of one or more kernels. */
export interface Peer {
  /** Name, version and where it runs, e.g. `"jax-js 0.1 (wasm)"`. */
  readonly name: string;
  /** The kernels it can compute. */
  readonly kernels: readonly string[];
  /** Sets it up on a task. If it cannot do this task, the reason is thrown as an `Error`, for the table. */
  open(task: PeerTask): Promise<PeerRun>;
}

/** A figure of a library that a report cannot call, e.g. one in Python: an entry of `peers/recorded.json`. */
export interface RecordedPeer {
  /** Name of the kernel. */
  readonly kernel: string;
  /** The size as the case words it, … */
  readonly size?: string;
  /** … or those of its numbers that matter. */
  readonly shape?: Readonly<Record<string, number>>;
  /** What was timed. */
  readonly library: string;
  /** Its version. */
  readonly version: string;
  /** Where. */
  readonly machine: string;
  /** Milliseconds per call. */
  readonly milliseconds: number;
  /** When, e.g. `"2026-11-22"`. */
  readonly date: string;
}

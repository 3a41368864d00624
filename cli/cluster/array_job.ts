/**
 * What Slurm and Kubernetes are told alike of a run that is made in parts.
 *
 * @module
 */

/** A run as an array of jobs. */
export interface ArrayJob {
  /** Its name. */
  readonly name: string;
  /** Number of parts. */
  readonly shards: number;
  /** Parts at the same time, at most. */
  readonly parallel: number | undefined;
  /** What calls varscale, in words. */
  readonly program: readonly string[];
  /** Options of `varscale run`, without the part. */
  readonly args: readonly string[];
  /** Cores of a part. */
  readonly cpus: number | undefined;
  /** GPUs of a part. */
  readonly gpus: number | undefined;
  /** Bytes of a part's memory on its machine. */
  readonly memory: number | undefined;
}

/**
 * What a kind of network that judges or describes pictures is: which published files it is made of, where
 * they lie, and how it is opened. The kinds there are, `networks.ts` lists; how a place is found, `load.ts`
 * knows.
 *
 * @module
 */

import type { Device } from "../../kernels/device/device.ts";
import type { CpuProvider } from "../graphs/graph_session.ts";
import type { FeatureExtractor, Verifier } from "./verifier.ts";

/** A network that is loaded: it judges pictures, describes them, or both. Disposing it unloads it. */
export type Network = (Verifier | FeatureExtractor) & AsyncDisposable;

/** One of the files that a network is made of. */
export interface NetworkFile {
  /** What it is for, under which {@linkcode NetworkKind.open} gets it: `"weights"`, say. */
  readonly role: string;
  /** Names that it may have in a folder or repository, the likeliest first. */
  readonly names: readonly [string, ...string[]];
  /** Where it lies if it is not with the others, named as in {@linkcode NetworkKind.place}. */
  readonly place?: string;
  /** Whether the network can do without it. */
  readonly optional?: boolean;
}

/** Path or URL of each file, by its role; without those that are optional and not there. */
export type NetworkFiles = Readonly<Record<string, string | URL>>;

/** Options of {@linkcode NetworkKind.open}. */
export interface OpenNetworkOptions {
  /** Threads on the CPU; all cores by default. */
  readonly threads?: number;
  /** Who computes on the CPU; `"wasm"` by default. */
  readonly cpuProvider?: CpuProvider;
  /**
   * The text for a class, in which `{label}` stands for its name, where the network takes texts;
   * `textOfLabel` of `prompt.ts` makes use of it.
   */
  readonly template?: string;
  /** Ends the opening. */
  readonly signal?: AbortSignal | undefined;
}

/** A kind of network. */
export interface NetworkKind {
  /** What names it: `"clip"`, say. */
  readonly name: string;
  /** Name for people. */
  readonly title: string;
  /** What it can be loaded as. */
  readonly makes: readonly ("verifier" | "features")[];
  /** Its files, the one that a place which is a file means first. */
  readonly files: readonly [NetworkFile, ...NetworkFile[]];
  /**
   * Where its published files lie: `"hf:owner/name"`, or the address of the first file. Without it, whoever
   * loads it says where.
   */
  readonly place?: string;
  /**
   * Names of files that one of its files asks for, which lie beside that one.
   *
   * @throws {ModelFileError} If the file is not what it should be.
   */
  others?(files: NetworkFiles, options: OpenNetworkOptions): Promise<readonly string[]>;
  /**
   * Loads it.
   *
   * @param device Where it runs, which stays the caller's.
   * @param files Its files.
   * @throws {ModelFileError} If a file is not what it should be.
   */
  open(device: Device, files: NetworkFiles, options?: OpenNetworkOptions): Promise<Network>;
}

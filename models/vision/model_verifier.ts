/**
 * The network that a model folder brings along to judge what the model paints: a description, and the files
 * that it names. They are no part of the model, so its fingerprints know nothing of them.
 *
 * @module
 */

import type { Device } from "../../kernels/device/device.ts";
import type { ModelFolder } from "../folder/model_folder.ts";
import { DESCRIPTION } from "./described_network.ts";
import type { Network, OpenNetworkOptions } from "./network_kind.ts";
import type { FeatureExtractor, Verifier } from "./verifier.ts";

/**
 * Names of the files of a folder's verifier; none where it has no verifier, or something that belongs to it
 * is left out.
 *
 * @throws {ModelFileError} If its description is not what it should be.
 */
export async function verifierFiles(folder: ModelFolder): Promise<readonly string[]> {
  if (!folder.has(DESCRIPTION)) return [];
  const file = `${folder.location}/${DESCRIPTION}`;
  const { describedFiles } = await import("./network_description.ts");
  const names = [DESCRIPTION, ...describedFiles(await folder.read(DESCRIPTION), file)];
  return names.every((name) => folder.has(name)) ? names : [];
}

/** The network of a folder that has one, loaded when it is first asked for. Disposing it unloads it. */
export class ModelVerifier implements AsyncDisposable {
  readonly #folder: ModelFolder;
  readonly #device: Device;
  readonly #options: OpenNetworkOptions;
  #network: Promise<Network> | undefined;

  /**
   * @param folder The model's folder, which stays the model's.
   * @param device Where the model runs.
   */
  constructor(folder: ModelFolder, device: Device, options: OpenNetworkOptions) {
    this.#folder = folder;
    this.#device = device;
    this.#options = options;
  }

  /**
   * The network as a verifier.
   *
   * @throws {TypeError} If it only describes pictures.
   * @throws {ModelFileError} If its files are not what they should be.
   */
  async verifier(): Promise<Verifier> {
    const network = await this.#load();
    if ("score" in network) return network;
    throw this.#refusal("verifier", "only describes pictures: give one, such as loadVerifier() loads");
  }

  /**
   * The network as a feature extractor.
   *
   * @throws {TypeError} If it only judges pictures.
   * @throws {ModelFileError} If its files are not what they should be.
   */
  async extractor(): Promise<FeatureExtractor> {
    const network = await this.#load();
    if ("features" in network) return network;
    throw this.#refusal("feature extractor", "only judges pictures: give one, such as loadFeatures() loads");
  }

  async #load(): Promise<Network> {
    const folder = this.#folder;
    const open = async (): Promise<Network> => {
      const { openOnnxNetwork } = await import("./onnx_network.ts");
      const files = { place: (name: string) => `${folder.location}/${name}`, read: folder.read.bind(folder) };
      return await openOnnxNetwork(this.#device, files, DESCRIPTION, this.#options);
    };
    this.#network ??= open().catch((error) => {
      // Somebody may mend the cause and try again.
      this.#network = undefined;
      throw error;
    });
    return await this.#network;
  }

  #refusal(what: string, why: string): TypeError {
    const { name } = this.#folder.manifest;
    return new TypeError(`Cannot use the ${what} of the model "${name}" as its network ${why}`);
  }

  /** Unloads the network. */
  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#network?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }
}

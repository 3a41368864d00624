/**
 * The kind of networks that anybody can add: an ONNX file with a description beside it, on disk, on a web
 * server or on the hub.
 *
 * @module
 */

import { openSource, placeBeside } from "../checkpoint/source.ts";
import type { NetworkFiles, NetworkKind, OpenNetworkOptions } from "./network_kind.ts";
import type { DescribedFiles } from "./onnx_network.ts";

/** Name of a description in a folder or repository. */
export const DESCRIPTION = "verifier.json";

/** Bytes that a description may have. */
export const DESCRIPTION_BYTES = 1 << 22;

/** Bytes that a network or its tokenizer may have: as many as a message of ONNX. */
const FILE_BYTES = 2 ** 31 - 1;

/** Any ONNX network by its description. */
export const ONNX: NetworkKind = {
  name: "onnx",
  title: "an ONNX network by its description",
  makes: ["verifier", "features"],
  files: [{ role: "description", names: [DESCRIPTION] }],
  async others({ description }, { signal }) {
    const bytes = await readWhole(description!, { most: DESCRIPTION_BYTES, signal });
    const { describedFiles } = await import("./network_description.ts");
    return describedFiles(bytes, String(description));
  },
  async open(device, { description }: NetworkFiles, options = {}) {
    const { openOnnxNetwork } = await import("./onnx_network.ts");
    return await openOnnxNetwork(device, filesBeside(description!, options), DESCRIPTION, options);
  },
};

/** The files of a network whose description lies at a place and is asked for as {@linkcode DESCRIPTION}. */
export function filesBeside(
  description: string | URL,
  { signal }: Pick<OpenNetworkOptions, "signal">,
): DescribedFiles {
  const placeOf = (name: string): string | URL => {
    return name === DESCRIPTION ? description : placeBeside(description, name);
  };
  return {
    place: (name) => String(placeOf(name)),
    read: (name) => {
      return readWhole(placeOf(name), {
        most: name === DESCRIPTION ? DESCRIPTION_BYTES : FILE_BYTES,
        signal,
      });
    },
  };
}

async function readWhole(
  place: string | URL,
  options: { readonly most: number } & Pick<OpenNetworkOptions, "signal">,
): Promise<Uint8Array<ArrayBuffer>> {
  using source = await openSource(place, options);
  return await source.read(0, source.size);
}

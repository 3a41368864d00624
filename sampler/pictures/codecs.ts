/**
 * The door to the decoders of JPEG and WebP: libjpeg (as mozjpeg) and libwebp, compiled to WebAssembly by the
 * jSquash project, which decode to the bit as Pillow does. They are fetched when a file needs them, and take
 * no permission. What a file is, and whether it may be decoded, is left to others.
 *
 * @module
 */

/**
 * In variables, as Deno fetches every package whose name it finds in an import, and a program that never
 * reads such a file should not wait for it.
 */
const JPEG = "npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec";
const WEBP = "npm:@jsquash/webp@1.5.0/codec/dec/webp_dec";

/** Pixels as a decoder gives them. */
export interface DecodedPixels {
  /** Pixels in a row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** RGBA. */
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** What a decoder is started with, and what it then offers: the part of Emscripten's interface in use. */
interface Settings {
  readonly noInitialRun: boolean;
  readonly printErr: (line: string) => void;
  readonly instantiateWasm: (
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance) => void,
  ) => WebAssembly.Exports;
}

type Start = (settings: Settings) => Promise<Decoder>;

interface Decoder {
  decode(bytes: Uint8Array, ...options: readonly boolean[]): DecodedPixels | null;
}

/** Decodes a file, without turning it. Throws an `Error` if it is damaged or cut. */
export type Decode = (bytes: Uint8Array) => DecodedPixels;

/**
 * Loads the decoder of JPEG files.
 *
 * @throws {Error} If it cannot be fetched.
 */
export async function loadJpegDecoder(): Promise<Decode> {
  // It could turn the picture, which is left to who turns other files, too.
  return await loadDecoder(JPEG, false);
}

/**
 * Loads the decoder of WebP files.
 *
 * @throws {Error} If it cannot be fetched.
 */
export async function loadWebpDecoder(): Promise<Decode> {
  return await loadDecoder(WEBP);
}

/** A decoder for one file: an instance of its own, so that nothing of one file stays for the next one. */
async function loadDecoder(codec: string, ...options: readonly boolean[]): Promise<Decode> {
  const { start, compiled } = await fetchCodec(codec);
  const messages: string[] = [];
  const decoder = await start({
    noInitialRun: true,
    printErr: (line) => messages.push(line),
    instantiateWasm: (imports, done) => {
      const instance = new WebAssembly.Instance(compiled, imports);
      done(instance);
      return instance.exports;
    },
  });
  return (bytes) => {
    let decoded: DecodedPixels | null;
    try {
      decoded = decoder.decode(bytes, ...options);
    } catch (cause) {
      throw new Error(messages[0] ?? (cause as Error).message, { cause });
    }
    // libjpeg fills what is missing with gray. Its other warnings are about bytes that do no harm; Pillow
    // draws the line in the same place.
    if (decoded === null || messages.some((message) => message.startsWith("Premature end"))) {
      throw new Error("it ends too early, or is damaged");
    }
    return decoded;
  };
}

async function fetchCodec(codec: string): Promise<{ start: Start; compiled: WebAssembly.Module }> {
  try {
    const { default: start } = await import(`${codec}.js`) as { default: Start };
    // @ts-expect-error: TypeScript does not know this kind of import, which gives the compiled module.
    return { start, compiled: await import.source(`${codec}.wasm`) };
  } catch (cause) {
    throw new Error(`Cannot load the decoder ${codec} as ${(cause as Error).message}`, { cause });
  }
}

/**
 * What is answered to a request for images: one JSON object when all are there, or events as they come, both
 * in the shape of OpenAI's interface, with seed and number of each picture beside it.
 *
 * @module
 */

import type { HostedImageEvent } from "../hosting/hosted_job.ts";
import type { WantedEvent } from "./batcher.ts";
import { EXTENSION } from "./request_options.ts";

/** Which picture something is, so that it can be made again: `--seed` and `--indices`. */
interface PictureOrigin {
  /** Seed; beyond 2^53 as a text. */
  readonly seed: number | string;
  readonly index: number;
  /** Number of the attempt, where an image has several pictures. */
  readonly lane: number;
  /** The class or prompt as the model understands it. */
  readonly label?: string;
}

/** A picture with its facts, that is not in the list yet. */
export type DeliveredPicture = Pick<HostedImageEvent, "png" | "width" | "height">;

/** Seconds since 1970. */
function now(): number {
  return Math.floor(Date.now() / 1000);
}

function originOf(
  { seed, index, lane }: Pick<HostedImageEvent, "seed" | "index" | "lane">,
  label?: string,
): PictureOrigin {
  return {
    seed: typeof seed === "bigint" ? String(seed) : seed,
    index,
    lane,
    ...(label !== undefined && { label }),
  };
}

/**
 * The answer with all pictures.
 *
 * @param keep Called for each picture that is fetched by an address, which it returns.
 */
export async function imageList(
  events: AsyncIterable<WantedEvent>,
  { format, keep }: {
    readonly format: "b64_json" | "url";
    readonly keep: (png: Uint8Array<ArrayBuffer>) => string;
  },
): Promise<Readonly<Record<string, unknown>>> {
  const images: HostedImageEvent[] = [];
  for await (const event of events) if (event.type === "image") images.push(event);
  images.sort((a, b) => a.place - b.place || a.lane - b.lane);
  const [first] = images as [HostedImageEvent];
  return {
    created: now(),
    background: "opaque",
    output_format: "png",
    size: sizeOf(first),
    data: images.map((image) => ({
      ...(format === "url" ? { url: keep(image.png) } : { b64_json: image.png.toBase64() }),
      [EXTENSION]: originOf(image, image.label.name),
    })),
  };
}

function sizeOf({ width, height }: Pick<DeliveredPicture, "width" | "height">): string {
  return `${width}x${height}`;
}

/** The events of a stream: partial images, and each image when it is finished. */
export async function* imageEvents(
  events: AsyncIterable<WantedEvent>,
): AsyncGenerator<Readonly<Record<string, unknown>>, void, void> {
  /** Partial images that there were of each image. */
  const partial = new Map<number, number>();
  const common = { background: "opaque", output_format: "png", quality: "auto" };
  for await (const event of events) {
    if (event.type === "preview") {
      // Of several lanes the first one tells.
      for (const [place, lanes] of Map.groupBy(event.images, ({ place }) => place)) {
        const image = lanes.reduce((a, b) => b.lane < a.lane ? b : a);
        const number = partial.get(place) ?? 0;
        partial.set(place, number + 1);
        yield {
          type: "image_generation.partial_image",
          b64_json: image.png.toBase64(),
          created_at: now(),
          ...common,
          size: sizeOf(image),
          partial_image_index: number,
          [EXTENSION]: { ...originOf(image), place, scale: event.scale },
        };
      }
    } else if (event.type === "image") {
      yield {
        type: "image_generation.completed",
        b64_json: event.png.toBase64(),
        created_at: now(),
        ...common,
        size: sizeOf(event),
        [EXTENSION]: { ...originOf(event, event.label.name), place: event.place },
      };
    }
  }
}

/** An event as it is sent (WHATWG HTML, server-sent events). */
export function serverSentEvent(type: string, data: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
}

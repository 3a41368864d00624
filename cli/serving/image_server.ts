/**
 * The server: which address does what, who may ask, and what happens when it is to end. Requests for images
 * are read by `image_request.ts`, painted through `batcher.ts` and answered by `image_answer.ts`.
 *
 * @module
 */

import { timingSafeEqual } from "node:crypto";
import type { HostedFacts } from "../hosting/hosted_job.ts";
import { VERSION } from "../version.ts";
import { ApiError } from "./api_error.ts";
import { Batcher, type EndedBatch, type Painter } from "./batcher.ts";
import { imageEvents, imageList, serverSentEvent } from "./image_answer.ts";
import { type ImageRequest, readImageRequest, type RequestLimits } from "./image_request.ts";
import { Metrics, METRICS_TYPE } from "./metrics.ts";
import { PictureStore, type StoreLimits } from "./picture_store.ts";
import { readJsonObject } from "./read_body.ts";
import { EXTENSION, type GivenValues } from "./request_options.ts";

/** How a server is set up. */
export interface ServerOptions {
  /** Address that it listens on. */
  readonly host: string;
  /** Port; 0 is any. */
  readonly port: number;
  /** Options of `varscale generate` for requests that do not say otherwise. */
  readonly values: GivenValues;
  /** What a request may ask for at most. */
  readonly limits: RequestLimits & {
    /** Bytes of a request. */
    readonly body: number;
    /** Milliseconds that a request may take, from its arrival to the last byte of the answer. */
    readonly milliseconds: number;
  };
  /** Images of a batch. */
  readonly batch: number;
  /** Images that may wait. */
  readonly waiting: number;
  /** Milliseconds for which a request waits for company. */
  readonly linger: number;
  /** Seed of requests that bring none. */
  readonly seed: number | bigint;
  /** How long pictures are kept that are fetched by an address. */
  readonly store: StoreLimits;
  /** What clients must send as a bearer token. */
  readonly apiKey?: string | undefined;
  /** Origins of pages that may read the answers; `*` is any. */
  readonly allowOrigin?: readonly string[] | undefined;
  /** What stands in front of the addresses of pictures, behind a proxy. */
  readonly publicUrl?: string | undefined;
  /** Takes what goes wrong and is nobody's fault who asks. */
  readonly onFailure?: (line: string) => void;
}

/** Milliseconds in which the body of a request must arrive. */
const BODY_MILLISECONDS = 30_000;
/** Milliseconds in which answers must have been read once the server is ending. */
const CLOSING_MILLISECONDS = 2000;
/** Seconds after which one may ask again while the server is ending. */
const ENDING_RETRY = 5;
/** Bounds of histograms in seconds. */
const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
/** Bounds of the number of images in a batch. */
const BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64];

/** Hosts by which this machine alone calls itself. */
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** A request on its way through the server. */
interface Call {
  readonly request: Request;
  readonly url: URL;
}

/** What an address does, by method. */
type Route = {
  readonly methods: Readonly<Record<string, (call: Call) => Response | Promise<Response>>>;
  /** Whether it may be used without a key. */
  readonly open?: boolean;
};

/** A server of images. */
export class ImageServer implements AsyncDisposable {
  readonly #facts: HostedFacts;
  readonly #options: ServerOptions;
  readonly #batcher: Batcher;
  readonly #store: PictureStore;
  readonly #metrics = new Metrics();
  readonly #requests = this.#metrics.counter(
    "varscale_http_requests_total",
    "Requests that were answered, by address and status.",
  );
  readonly #images = this.#metrics.counter("varscale_images_total", "Pictures that were delivered.");
  readonly #batches = this.#metrics.counter("varscale_batches_total", "Batches, by how they ended.");
  readonly #batchImages = this.#metrics.histogram(
    "varscale_batch_images",
    "Images that were painted together.",
    BATCH_SIZES,
  );
  readonly #batchSeconds = this.#metrics.histogram(
    "varscale_batch_seconds",
    "Seconds that a batch took.",
    SECONDS,
  );
  readonly #queueSeconds = this.#metrics.histogram(
    "varscale_queue_seconds",
    "Seconds that a request for images waited for its turn.",
    SECONDS,
  );
  readonly #requestSeconds = this.#metrics.histogram(
    "varscale_request_seconds",
    "Seconds from a request for images to the end of its answer.",
    SECONDS,
  );
  readonly #created = Math.floor(Date.now() / 1000);
  /** Ends what was asked for. */
  readonly #ending = new AbortController();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #draining = false;

  /**
   * Starts a server.
   *
   * @param painter A model in a thread of its own. @param facts What is known of it. @param options How.
   * @throws {Deno.errors.AddrInUse} If somebody else has the port.
   */
  constructor(painter: Painter, facts: HostedFacts, options: ServerOptions) {
    this.#facts = facts;
    this.#options = options;
    const { batch, waiting, linger, seed, host, port } = options;
    this.#batcher = new Batcher(painter, {
      ...{ batch: Math.min(batch, facts.batchLimit?.images ?? Infinity), waiting, linger, seed },
      onBatch: (ended) => this.#count(ended),
    });
    this.#store = new PictureStore(options.store);
    this.#addGauges();
    this.#server = Deno.serve(
      { hostname: host, port, onListen: () => {} },
      (request) => this.#handle(request),
    );
  }

  /** Its address. */
  get url(): string {
    const { hostname, port } = this.#server.addr;
    return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  }

  /**
   * Ends it: what was asked for before is finished, what comes now is refused with 503, and after some time
   * the rest is, too.
   *
   * @param grace Milliseconds for what was asked for.
   */
  async stop(grace: number): Promise<void> {
    this.#draining = true;
    const timer = setTimeout(() => {
      this.#ending.abort(
        new ApiError("The server is ending", { status: 503, code: "ending", headers: RETRY_LATER }),
      );
    }, grace);
    await this.#batcher.idle();
    clearTimeout(timer);
    // Whoever does not read what was answered is not waited for.
    const { promise: patience, resolve } = Promise.withResolvers<void>();
    const close = setTimeout(resolve, CLOSING_MILLISECONDS);
    await Promise.race([this.#server.shutdown(), patience]);
    clearTimeout(close);
  }

  /** Ends it at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(0);
  }

  #addGauges(): void {
    const metrics = this.#metrics;
    const { name, dtype = "f32", device } = this.#facts;
    metrics.gauge("varscale_info", "What is served; always 1.", () => 1, {
      ...{ version: VERSION, model: name, dtype, device: device.name },
    });
    metrics.gauge("varscale_queue_requests", "Requests for images that wait.", () => {
      return this.#batcher.waitingRequests;
    });
    metrics.gauge("varscale_queue_images", "Images that wait.", () => this.#batcher.waitingImages);
    metrics.gauge("varscale_running_images", "Images that are painted now.", () => {
      return this.#batcher.runningImages;
    });
    metrics.gauge(
      "varscale_stored_pictures",
      "Pictures that are kept to be fetched.",
      () => this.#store.size,
    );
    metrics.gauge("varscale_stored_bytes", "Bytes of these pictures.", () => this.#store.bytes);
    metrics.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", () => {
      return Deno.memoryUsage().rss;
    });
    metrics.gauge("varscale_heap_bytes", "Bytes that the server's own thread uses of its heap.", () => {
      return Deno.memoryUsage().heapUsed;
    });
  }

  #count({ images, seconds, outcome }: EndedBatch): void {
    this.#batches.add({ outcome });
    if (outcome !== "done") return;
    this.#batchImages.observe(images);
    this.#batchSeconds.observe(seconds);
  }

  async #handle(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const [path, route] = this.#routeOf(url.pathname);
    let response: Response;
    try {
      this.#requireHost(url);
      response = this.#preflight(request) ?? await this.#answer(route, { request, url });
    } catch (error) {
      response = this.#answerTo(error);
    }
    this.#allowOrigin(request, response);
    this.#requests.add({ path, code: String(response.status) });
    return response;
  }

  /** What an address does, and how it is called in metrics. */
  #routeOf(path: string): [string, Route | undefined] {
    const { name } = this.#facts;
    const picture = /^\/images\/([0-9a-f-]{36})\.png$/.exec(path)?.[1];
    if (picture !== undefined) {
      return ["/images", { open: true, methods: { GET: () => this.#picture(picture) } }];
    }
    const routes: Readonly<Record<string, Route>> = {
      "/v1/images/generations": { methods: { POST: (call) => this.#generate(call) } },
      "/v1/models": { methods: { GET: () => Response.json({ object: "list", data: [this.#model()] }) } },
      [`/v1/models/${encodeURIComponent(name)}`]: { methods: { GET: () => Response.json(this.#model()) } },
      "/healthz": { open: true, methods: { GET: () => this.#health() } },
      "/metrics": {
        methods: {
          GET: () => new Response(this.#metrics.text(), { headers: { "content-type": METRICS_TYPE } }),
        },
      },
    };
    return Object.hasOwn(routes, path) ? [path, routes[path]] : ["other", undefined];
  }

  async #answer(route: Route | undefined, call: Call): Promise<Response> {
    const { request, url } = call;
    if (route === undefined) {
      throw new ApiError(`There is nothing at ${url.pathname}`, { status: 404, code: "not_found" });
    }
    if (!route.open) this.#requireKey(request);
    const { methods } = route;
    const method = request.method === "HEAD" ? "GET" : request.method;
    const answer = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (answer !== undefined) return await answer(call);
    const allow = Object.keys(methods).join(", ");
    throw new ApiError(`The method must be ${allow}: current value is ${request.method}`, {
      ...{ status: 405, code: "method_not_allowed", headers: { allow } },
    });
  }

  async #generate({ request, url }: Call): Promise<Response> {
    if (this.#draining) {
      throw new ApiError("The server is ending", { status: 503, code: "ending", headers: RETRY_LATER });
    }
    const { limits, values } = this.#options;
    const begun = performance.now();
    const body = await readJsonObject(request, { bytes: limits.body, milliseconds: BODY_MILLISECONDS });
    const wanted = readImageRequest(body, this.#facts, { limits, values });
    using stack = new DisposableStack();
    const call = stack.use(new CallLimits(request.signal, this.#ending.signal, limits.milliseconds));
    stack.defer(() => this.#requestSeconds.observe((performance.now() - begun) / 1000));
    const events = this.#counted(this.#batcher.submit(wanted, call.signal), begun);
    if (!wanted.stream) return Response.json(await this.#list(wanted, events, url));
    const failed = (error: unknown) => this.#failure(error);
    return await streamed(imageEvents(events), { call, failed, end: stack });
  }

  #list(wanted: ImageRequest, events: ReturnType<Batcher["submit"]>, url: URL): Promise<unknown> {
    const front = this.#options.publicUrl ?? url.origin;
    const keep = (png: Uint8Array<ArrayBuffer>) => `${front}/images/${this.#store.put(png)}.png`;
    return imageList(events, { format: wanted.format, keep });
  }

  /** The same events, but the wait and the pictures are counted. */
  async *#counted(events: ReturnType<Batcher["submit"]>, begun: number): ReturnType<Batcher["submit"]> {
    let waited = false;
    for await (const event of events) {
      // It begins again where its batch was split.
      if (event.type === "begun" && !waited) this.#queueSeconds.observe((performance.now() - begun) / 1000);
      waited ||= event.type === "begun";
      if (event.type === "image") this.#images.add();
      yield event;
    }
  }

  #picture(name: string): Response {
    const png = this.#store.get(name);
    if (png === undefined) {
      throw new ApiError("There is no such picture, or not any more", { status: 404, code: "not_found" });
    }
    const seconds = Math.floor(this.#options.store.milliseconds / 1000);
    return new Response(png, {
      headers: { "content-type": "image/png", "cache-control": `private, max-age=${seconds}, immutable` },
    });
  }

  /** The model as OpenAI's interface lists models. */
  #model(): Readonly<Record<string, unknown>> {
    const { name, family, size, labels, pictureSize, patchNumbers, flexible, defaults, dtype } = this.#facts;
    const classes = labels.kind === "classes" ? { classes: labels.count, class_names: labels.names } : {};
    return {
      ...{ id: name, object: "model", created: this.#created, owned_by: "varscale" },
      [EXTENSION]: {
        ...{ family, size, dtype, prompts: labels.kind, ...classes, patch_numbers: patchNumbers, flexible },
        picture: `${pictureSize.width}x${pictureSize.height}`,
        defaults: {
          ...{ cfg: defaults.cfg, guidance: defaults.guidance, top_k: defaults.topK, top_p: defaults.topP },
          ...{ min_p: defaults.minP, temperature: defaults.temperature },
        },
      },
    };
  }

  #health(): Response {
    const { waitingImages, runningImages } = this.#batcher;
    const facts = { model: this.#facts.name, waiting_images: waitingImages, running_images: runningImages };
    if (!this.#draining) return Response.json({ status: "ok", ...facts });
    return Response.json({ status: "ending", ...facts }, { status: 503, headers: RETRY_LATER });
  }

  /**
   * Refuses names that are not this machine's where only this machine may ask: a page that has its own name
   * point here could read what is answered.
   */
  #requireHost({ hostname, host }: URL): void {
    const { host: own, publicUrl } = this.#options;
    if (!LOOPBACK.includes(own) && !LOOPBACK.includes(`[${own}]`)) return;
    if ([...LOOPBACK, own].includes(hostname)) return;
    if (publicUrl !== undefined && new URL(publicUrl).host === host) return;
    throw new ApiError(`The host "${host}" is not served here`, { status: 421, code: "misdirected_request" });
  }

  #requireKey(request: Request): void {
    const { apiKey } = this.#options;
    if (apiKey === undefined) return;
    const [, given = ""] = /^Bearer +(.*)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    const [a, b] = [given, apiKey].map((text) => new TextEncoder().encode(text)) as [Uint8Array, Uint8Array];
    if (a.length === b.length && timingSafeEqual(a, b)) return;
    throw new ApiError("The API key is missing or wrong: send it as a bearer token", {
      ...{ status: 401, code: "invalid_api_key", headers: { "www-authenticate": "Bearer" } },
    });
  }

  /** The answer to a browser that asks whether a page may ask, where pages of others may. */
  #preflight(request: Request): Response | undefined {
    const wanted = request.headers.get("access-control-request-method");
    if (request.method !== "OPTIONS" || wanted === null || this.#options.allowOrigin === undefined) return;
    const headers = request.headers.get("access-control-request-headers");
    return new Response(null, {
      status: 204,
      headers: {
        "access-control-allow-methods": "GET, POST",
        ...(headers !== null && { "access-control-allow-headers": headers }),
        "access-control-max-age": "600",
      },
    });
  }

  #allowOrigin(request: Request, { headers }: Response): void {
    const { allowOrigin } = this.#options;
    if (allowOrigin === undefined) return;
    headers.append("vary", "origin");
    const origin = request.headers.get("origin");
    if (origin === null || !(allowOrigin.includes("*") || allowOrigin.includes(origin))) return;
    headers.set("access-control-allow-origin", origin);
    headers.set("access-control-expose-headers", "retry-after");
  }

  #answerTo(error: unknown): Response {
    return this.#failure(error).response();
  }

  /** What a client is told; what nobody has foreseen is said here, too. */
  #failure(error: unknown): ApiError {
    if (error instanceof ApiError) {
      if (error.status === 500) this.#options.onFailure?.(error.message);
      return error;
    }
    const message = error instanceof Error ? error.message : String(error);
    this.#options.onFailure?.(message);
    return new ApiError("Something went wrong here", { status: 500, code: "internal_error" });
  }
}

const RETRY_LATER = { "retry-after": String(ENDING_RETRY) };

/** What ends a request early: its client, the server, or the time. */
class CallLimits implements Disposable {
  readonly #controller = new AbortController();
  readonly #ends: (() => void)[] = [];

  constructor(client: AbortSignal, server: AbortSignal, milliseconds: number) {
    const late = new ApiError("The request took too long", { status: 504, code: "timeout" });
    const timer = setTimeout(() => this.end(late), milliseconds);
    this.#ends.push(() => clearTimeout(timer));
    for (const signal of [client, server]) {
      const follow = () => this.end(signal.reason);
      if (signal.aborted) follow();
      signal.addEventListener("abort", follow);
      this.#ends.push(() => signal.removeEventListener("abort", follow));
    }
  }

  /** Ends with the request. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends it. */
  end(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** Lets go of those that it follows. */
  [Symbol.dispose](): void {
    for (const end of this.#ends.splice(0)) end();
  }
}

/**
 * Answers with events. The first one is waited for, so that what is refused has a status of its own; what
 * fails later is an event.
 *
 * @param end What is to be done in the end, which is taken over once there is an answer.
 */
async function streamed(
  events: AsyncGenerator<Readonly<Record<string, unknown>>, void, void>,
  { call, failed, end }: {
    readonly call: CallLimits;
    readonly failed: (error: unknown) => ApiError;
    readonly end: DisposableStack;
  },
): Promise<Response> {
  let next: IteratorResult<Readonly<Record<string, unknown>>, void> | undefined = await events.next();
  const finish = end.move();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = next ?? await events.next();
        next = undefined;
        if (!done) return controller.enqueue(serverSentEvent(String(value.type), value));
      } catch (error) {
        controller.enqueue(serverSentEvent("error", { type: "error", ...failed(error).body() }));
      }
      controller.close();
      finish.dispose();
    },
    async cancel(reason) {
      call.end(reason ?? new Error("The client has left"));
      finish.dispose();
      await events.return();
    },
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" },
  });
}

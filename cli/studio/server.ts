/**
 * The studio's server: a page on this machine alone, for who has the link, and the answers to what the page
 * asks. What is carried out is left to `jobs.ts`, who may ask to `access.ts`.
 *
 * @module
 */

import { UsageError } from "../io.ts";
import { formatJson } from "../output/format_json.ts";
import { VERSION } from "../version.ts";
import { Access, HEADERS } from "./access.ts";
import { readBody, readJsonBody, RequestError } from "./body.ts";
import { Jobs } from "./jobs.ts";
import { ModelKeeper, type OpenPainter } from "./model_keeper.ts";
import { PAGE_FILES } from "./page_files.ts";
import { BROUGHT, PictureStore } from "./picture_store.ts";
import type { StudioEvent } from "./protocol.ts";
import { recipeOf, recipeOfPicture } from "./recipe.ts";
import { Sessions } from "./sessions.ts";

/** Bytes of a form, of a picture, and of a record or a picture with one, at the most. */
const FORM_BYTES = 2 ** 16;
const PICTURE_BYTES = 2 ** 25;
const RECIPE_BYTES = 2 ** 26;
/** Pixels along an edge of a picture that is brought, at the most. */
const MOST_PIXELS = 4096;
/** Milliseconds after which a connection on which nothing happens is written to. */
const BEAT = 15_000;
/** Milliseconds that questions have for an end when the studio ends. */
const GRACE = 250;

/** What answers a request, once it may be answered. */
type Route = (request: Request, groups: Readonly<Record<string, string>>) => Response | Promise<Response>;

/** A studio that is open. */
export class StudioServer implements AsyncDisposable {
  readonly #access: Access;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #model: ModelKeeper;
  readonly #pictures = new PictureStore();
  readonly #sessions: Sessions = new Sessions((session) => this.#jobs.isBusy(session));
  readonly #jobs: Jobs = new Jobs(() => this.#model.painter, this.#pictures, {
    onEvent: (session, event) => this.#sessions.tell(session, event),
    onEnded: (entry) => this.#sessions.tellAll({ type: "history", entry }),
    onForgotten: (job) => this.#sessions.tellAll({ type: "forgotten", job }),
  });
  readonly #beat: ReturnType<typeof setInterval>;
  readonly #routes: readonly { method: string; pattern: URLPattern; answer: Route }[] = [
    this.#route("GET", "/events", (request) => this.#events(request)),
    this.#route("POST", "/jobs", (request) => this.#submit(request)),
    this.#route("GET", "/jobs/:job", (_, { job }) => {
      const events = this.#jobs.eventsOf(job!);
      return events === undefined ? notFound() : answer(events);
    }),
    this.#route("POST", "/jobs/:job/abort", (_, { job }) => this.#jobs.abort(job!) ? answer({}) : notFound()),
    this.#route("DELETE", "/jobs/:job", (_, { job }) => this.#jobs.forget(job!) ? answer({}) : notFound()),
    this.#route("GET", "/jobs/:job/run-:part(\\d).json", (_, { job, part }) => {
      const record = this.#jobs.recordOf(job!, Number(part));
      // A seed may be larger than what JSON's own writer takes.
      const headers = { "content-type": "application/json" };
      return record === undefined ? notFound() : new Response(formatJson(record), { headers });
    }),
    this.#route("GET", "/pictures/:picture", (request) => this.#picture(request)),
    this.#route("POST", "/pictures", (request) => this.#bring(request)),
    this.#route("POST", "/recipe", (request) => this.#recipe(request)),
    this.#route("POST", "/model/retry", () => {
      this.#model.retry();
      return answer({});
    }),
  ];

  /**
   * Opens a studio.
   *
   * @param open Opens its model; the page is there before.
   * @param options Where it listens; any free port by default.
   * @throws {Deno.errors.AddrInUse} If the port is taken.
   */
  constructor(open: OpenPainter, { port = 0 }: { readonly port?: number } = {}) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port, onListen: () => {}, onError: (error) => this.#failed(error) },
      (request) => this.#answer(request),
    );
    this.#access = new Access(this.#server.addr.port);
    this.#model = new ModelKeeper(open, (model) => this.#sessions.tellAll({ type: "model", model }));
    this.#beat = setInterval(() => this.#sessions.beat(), BEAT);
  }

  /** The address that a person opens. */
  get link(): string {
    return this.#access.link;
  }

  /** Tells the pages, ends all jobs, and closes the model. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#beat);
    const stopped = this.#jobs.stop();
    this.#sessions.tellAll({ type: "bye" });
    this.#sessions.close();
    await this.#shutDown();
    await stopped;
    await this.#model[Symbol.asyncDispose]();
  }

  /** Answers what was asked; who goes on and on with a question is not waited for. */
  async #shutDown(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, GRACE);
    await Promise.race([this.#server.shutdown(), late]);
    clearTimeout(timer);
    this.#server.unref();
  }

  #route(
    method: string,
    pathname: string,
    answer: Route,
  ): { method: string; pattern: URLPattern; answer: Route } {
    return { method, pattern: new URLPattern({ pathname }), answer };
  }

  async #answer(request: Request): Promise<Response> {
    const verdict = this.#access.judge(request);
    const response = verdict.allowed
      ? await this.#allowed(request).catch((error) => this.#failed(error))
      : answer({ message: verdict.reason }, verdict.status);
    for (const [name, value] of Object.entries(HEADERS)) response.headers.set(name, value);
    if (verdict.allowed && verdict.cookie !== undefined) response.headers.set("set-cookie", verdict.cookie);
    return response;
  }

  async #allowed(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const file = PAGE_FILES.get(pathname);
    const methods = file === undefined ? [] : ["GET"];
    if (file !== undefined && request.method === "GET") {
      return new Response(file.text, { headers: { "content-type": file.type } });
    }
    for (const { method, pattern, answer } of this.#routes) {
      const match = pattern.exec({ pathname });
      if (match === null) continue;
      if (method === request.method) {
        return await answer(request, match.pathname.groups as Record<string, string>);
      }
      methods.push(method);
    }
    if (methods.length === 0) return notFound();
    const refusal = answer({ message: `This is for ${methods.join(" and ")} only` }, 405);
    refusal.headers.set("allow", methods.join(", "));
    return refusal;
  }

  #failed(error: unknown): Response {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof RequestError) return answer({ message }, error.status);
    return answer({ message }, error instanceof UsageError ? 400 : 500);
  }

  #events(request: Request): Response {
    const session = new URL(request.url).searchParams.get("session");
    if (!Sessions.isName(session)) throw new RequestError(400, "A tab must say its name");
    const [, last] = /^(\d{1,15})$/.exec(request.headers.get("last-event-id") ?? "") ?? [];
    const stream = this.#sessions.feed(session).open(last === undefined ? undefined : Number(last), () => {
      return this.#hello(session);
    });
    return new Response(stream, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
  }

  #hello(session: string): StudioEvent {
    return {
      type: "hello",
      version: VERSION,
      model: this.#model.state,
      history: this.#jobs.history(),
      events: this.#jobs.eventsFor(session),
    };
  }

  async #submit(request: Request): Promise<Response> {
    const body = await readJsonBody(request, FORM_BYTES) as Record<string, unknown> | null;
    if (!Sessions.isName(body?.session)) throw new RequestError(400, "A tab must say its name");
    const wanted = body.repeats === undefined ? { form: body.form } : { repeats: body.repeats };
    return answer({ job: this.#jobs.submit(body.session, wanted) }, 202);
  }

  #picture(request: Request): Response {
    const png = this.#pictures.get(new URL(request.url).pathname);
    return png === undefined ? notFound() : new Response(png, { headers: { "content-type": "image/png" } });
  }

  async #bring(request: Request): Promise<Response> {
    const png = await readBody(request, PICTURE_BYTES);
    const { width, height } = pngSize(png) ?? { width: 0, height: 0 };
    if (!(width >= 1 && width <= MOST_PIXELS && height >= 1 && height <= MOST_PIXELS)) {
      throw new RequestError(
        415,
        `The picture must be a PNG of at most ${MOST_PIXELS}×${MOST_PIXELS} pixels`,
      );
    }
    return answer({ href: this.#pictures.put(BROUGHT, png) }, 201);
  }

  async #recipe(request: Request): Promise<Response> {
    if (request.headers.get("content-type") === "image/png") {
      return answer(recipeOfPicture(await readBody(request, RECIPE_BYTES)));
    }
    return answer(recipeOf(await readJsonBody(request, RECIPE_BYTES)));
  }
}

function answer(content: unknown, status: number = 200): Response {
  return Response.json(content, { status });
}

function notFound(): Response {
  return answer({ message: "There is nothing here, or not any longer" }, 404);
}

/** The size that a PNG says it has. */
function pngSize(png: Uint8Array): { readonly width: number; readonly height: number } | undefined {
  const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
  if (png.length < 33 || signature.some((byte, i) => png[i] !== byte)) return undefined;
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/**
 * `varscale serve`: a model behind HTTP, for programs that speak to image models as to OpenAI's.
 *
 * @module
 */

import { command } from "../command.ts";
import { HostedModel } from "../hosting/hosted_model.ts";
import { type Io, say, UsageError } from "../io.ts";
import { bytes, integer, type Kind, number, seed, text, texts } from "../options/kinds.ts";
import { METHOD_OPTIONS, searchOf } from "../options/method_options.ts";
import { DEVICE_OPTIONS, MODEL_OPTIONS, modelPlace } from "../options/model_options.ts";
import { requirePlaces } from "../options/open_search.ts";
import { type Arguments, refuseOperands, section } from "../options/options.ts";
import { quietOption } from "../options/output_options.ts";
import { BATCH_OPTIONS, SAMPLING_OPTIONS } from "../options/sampling_options.ts";
import { SCALING_OPTIONS } from "../options/scaling_options.ts";
import { TEXT_FEATURES_OPTION } from "../options/text_features.ts";
import { absolute } from "../options/place.ts";
import { ImageServer } from "../serving/image_server.ts";
import type { GivenValues } from "../serving/request_options.ts";

/** Where the key is looked for that clients must send. */
const KEY_VARIABLE = "VARSCALE_API_KEY";

const origins: Kind<readonly string[]> = {
  placeholder: "ORIGIN,…",
  parse: (value) => {
    const items = texts.parse(value);
    if (items.some((item) => item !== "*" && !(URL.canParse(item) && new URL(item).origin === item))) {
      throw new RangeError('must be "*", or origins like "https://example.org", separated by commas');
    }
    return items;
  },
};

const webAddress: Kind<string> = {
  placeholder: "URL",
  parse: (value) => {
    const { protocol = "" } = URL.canParse(value) ? new URL(value) : {};
    if (!/^https?:$/.test(protocol)) {
      throw new RangeError('must be an address like "https://example.org/paint"');
    }
    return value.replace(/\/+$/, "");
  },
};

const OPTIONS = {
  ...section("Server", {
    host: {
      kind: text("HOST"),
      help: "Address to listen on; 0.0.0.0 is every one that the machine has, for everybody who reaches it",
      default: "127.0.0.1",
    },
    port: { kind: integer("N", 0, 65535), short: "p", help: "Port; 0 takes a free one", default: 8000 },
    apiKey: {
      kind: text("KEY"),
      help:
        `What clients must send as a bearer token; better in the variable ${KEY_VARIABLE}, as others can see command lines`,
      defaultText: "none is asked for",
    },
    allowOrigin: {
      kind: origins,
      help: "Pages that may read the answers, by their origins; * is any",
      defaultText: "none",
    },
    publicUrl: {
      kind: webAddress,
      help: "What stands in front of the addresses of pictures, behind a proxy",
      defaultText: "what the client has called",
    },
    quiet: quietOption("errors and warnings"),
  }),
  ...section("Requests", {
    batch: {
      kind: integer("N", 1, 1024),
      short: "b",
      help: "Images that are painted together, of requests with the same settings",
      default: 8,
    },
    queue: {
      kind: integer("N", 1, 2 ** 20),
      help: "Images that may wait; beyond them the answer is 429, with the seconds after which to ask again",
      default: 256,
    },
    linger: {
      kind: integer("MS", 0, 10_000),
      help: "Milliseconds for which the first request waits for others to paint it with",
      default: 5,
    },
    maxImages: { kind: integer("N", 1, 1024), help: "Pictures of one request", default: 10 },
    maxPrompt: { kind: integer("N", 1, 1_000_000), help: "Characters of a prompt", default: 4000 },
    maxPixels: {
      kind: integer("N", 1),
      help: "Pixels of a picture, where the model can paint several sizes",
      default: 2 ** 21,
    },
    maxBody: { kind: bytes, help: "Bytes of a request", default: 2 ** 18, defaultText: "256KiB" },
    timeout: {
      kind: number("S", 0.001, 86400),
      help: "Seconds that a request may take with its wait; then the answer is 504",
      default: 300,
    },
    grace: {
      kind: number("S", 0, 86400),
      help: "Seconds for what was asked for before Ctrl-C or SIGTERM; what comes later gets 503",
      default: 30,
    },
    keepUrls: {
      kind: number("S", 1, 86400 * 30),
      help: "Seconds for which a picture can be fetched that was asked for by address",
      default: 3600,
    },
    urlMemory: {
      kind: bytes,
      help: "Memory for these pictures; the oldest go first",
      default: 2 ** 28,
      defaultText: "256MiB",
    },
    seed: {
      kind: seed,
      short: "s",
      help: "Seed of requests that bring none; each of their images has a number of its own",
      defaultText: "a random one",
    },
  }),
  ...MODEL_OPTIONS,
  ...section("Model", { textFeatures: TEXT_FEATURES_OPTION }),
  ...SAMPLING_OPTIONS,
  ...METHOD_OPTIONS,
  ...SCALING_OPTIONS,
  ...DEVICE_OPTIONS,
  ...section("Device", { memory: BATCH_OPTIONS.memory }),
};

/** Options that are those of requests where they say nothing else. */
const REQUEST_DEFAULTS = Object.keys({ ...SAMPLING_OPTIONS, ...METHOD_OPTIONS, ...SCALING_OPTIONS });

/** The command. */
export const serve = command({
  usage: ["[--model PLACE] [--port N] [OPTIONS]"],
  description: [
    "POST /v1/images/generations paints, in the shape of OpenAI's interface, and streams what appears; GET /v1/models says which model, " +
    "/healthz whether it answers, /metrics what it does, for Prometheus. The prompt is a text, or for a model of classes the name or number of one.",
    "Options of sampling and of methods hold for requests that do not say otherwise; a request gives its own in the object " +
    '"varscale", by the same names with underscores. Requests that wait together and ask for the same are painted in one batch, which changes no image.',
    "Ctrl-C or SIGTERM ends it when what was asked for before is answered; a second one ends it at once.",
  ],
  options: OPTIONS,
  examples: [
    "",
    "--model demo-t2i --port 9000",
    "--model hf:jiaosiyu1999/FlexVAR --depth 24 --size 512 --method best-of-n --verifier evidence",
    "--host 0.0.0.0 --queue 64 --max-images 4",
  ],
  run,
});

async function run({ options, given, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<number> {
  refuseOperands(operands, 0);
  const { host, port, quiet = false, batch, queue, linger, timeout, grace } = options;
  const values = Object.fromEntries(
    REQUEST_DEFAULTS.filter((name) => given.has(name as keyof typeof OPTIONS))
      .map((name) => [name, Reflect.get(options, name)]),
  ) as GivenValues;
  const place = modelPlace(options) ?? { folder: "demo" };
  await requirePlaces(searchOf(options, false));
  const apiKey = options.apiKey ?? keyOfEnvironment();
  // Loading a large model takes minutes; that somebody else has the port is told before.
  probe(host, port);
  if (apiKey === undefined && !["127.0.0.1", "localhost", "::1"].includes(host)) {
    say(io, `warning: everybody who reaches ${host} may ask; see --api-key`);
  }
  await using model = await HostedModel.open({ place, loading: loadingOf(options) }, {
    signal: io.signal,
    onNotice: (line) => {
      if (!quiet) say(io, line);
    },
  });
  const { textFeatures } = options;
  await using server = new ImageServer(model, model.facts, {
    ...{ host, port, batch, linger, apiKey, waiting: queue },
    values: { ...values, ...(textFeatures === undefined ? {} : { textFeatures: absolute(textFeatures) }) },
    limits: {
      images: options.maxImages,
      prompt: options.maxPrompt,
      pixels: options.maxPixels,
      body: options.maxBody,
      milliseconds: 1000 * timeout,
    },
    seed: options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!,
    store: { bytes: options.urlMemory, milliseconds: 1000 * options.keepUrls },
    allowOrigin: options.allowOrigin,
    publicUrl: options.publicUrl,
    onFailure: (line) => say(io, line),
  });
  if (!quiet) io.out(`${model.facts.name} on ${server.url}\n`);
  await untilInterrupted(io.signal);
  if (!quiet) say(io, "ending when what was asked for is answered");
  await server.stop(1000 * grace);
  return 0;
}

/** How the model is loaded, as plain data that a thread can be sent. */
function loadingOf(
  options: Arguments<typeof OPTIONS>["options"],
): Parameters<typeof HostedModel.open>[0]["loading"] {
  const { device, dtype, cpuProvider, threads, memory, compute, cacheDtype, offload } = options;
  const { keepTextEncoder, modelDepth, modelSize, quiet } = options;
  return {
    ...{ device, dtype, cpuProvider, threads, memory, compute, cacheDtype, offload },
    ...{ keepTextEncoder, modelDepth, modelSize, quiet },
  };
}

/** The key that the environment gives, where it may be read. */
function keyOfEnvironment(): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: KEY_VARIABLE });
  return state === "granted" ? Deno.env.get(KEY_VARIABLE) || undefined : undefined;
}

/**
 * Finds out whether an address can be listened on.
 *
 * @throws {UsageError} If it cannot.
 */
function probe(host: string, port: number): void {
  try {
    Deno.listen({ hostname: host, port }).close();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const reason = error instanceof Deno.errors.AddrInUse
      ? "somebody else does; choose another --port"
      : (error as Error).message;
    throw new UsageError(`Cannot listen on ${host}, port ${port}: ${reason}`);
  }
}

function untilInterrupted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve());
  });
}

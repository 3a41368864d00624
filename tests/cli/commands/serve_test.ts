/**
 * `varscale serve` with the bundled model: OpenAI's own client asks it, and what it gets is what `varscale
 * generate` makes of the same seed and number.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import OpenAI from "npm:openai@6.49.0";
import { Interruption } from "../../../cli/io.ts";
import { main } from "../../../cli/main.ts";
import { RgbaImage } from "../../../mod.ts";
import { run, succeed, testInFolder } from "../run.ts";

/** A server in this process, which ends with the test. */
async function start(...args: string[]) {
  const controller = new AbortController();
  const { promise: listening, resolve, reject } = Promise.withResolvers<string>();
  let err = "";
  const ended = main(["serve", "--port", "0", "--device", "cpu", "--cpu-provider", "wasm", ...args], {
    out: (text) => resolve(/ on (http:.*)\n/.exec(text)![1]!),
    err: (text) => err += text,
    terminal: false,
    signal: controller.signal,
  });
  ended.then((code) => reject(new Error(`${code}: ${err}`)));
  const url = await listening;
  return {
    url,
    client: new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 }),
    said: () => err,
    /** Ends it as a signal of the system does; the exit code. */
    async stop(): Promise<number> {
      controller.abort(new Interruption("SIGTERM"));
      return await ended;
    },
  };
}

testInFolder("varscale serve: OpenAI's client gets what varscale generate makes", async (folder) => {
  const { url, client, said, stop } = await start("--seed", "11", "--cfg", "2");
  const models = await Array.fromAsync(await client.models.list());
  assertEquals(models.map(({ id, object }) => [id, object]), [["demo", "model"]]);

  // Two requests that arrive together, one with a method of its own.
  const [several, searched] = await Promise.all([
    client.images.generate({ model: "demo", prompt: "red torus", n: 2, response_format: "b64_json" }),
    client.images.generate({
      prompt: "blue cone",
      seed: 5,
      varscale: { method: "best-of-n", attempts: 2 },
    } as { prompt: string }),
  ]);
  const decoded = several.data!.map(({ b64_json }) => Uint8Array.fromBase64(b64_json!));
  const origins = several.data!.map((image) => Reflect.get(image, "varscale"));
  assertEquals(origins, [0, 1].map((index) => ({ seed: 11, index, lane: 0, label: "red torus" })));
  const common = [
    "--cfg",
    "2",
    "--device",
    "cpu",
    "--cpu-provider",
    "wasm",
    "-q",
    "--no-grid",
    "--no-recipe",
  ];
  const repeat = ["--seed", "11", "--indices", "0,1", "-n", "2"];
  await succeed("generate", "red torus", ...repeat, ...common, "-o", `${folder}/a`);
  for (const [i, png] of decoded.entries()) {
    assertEquals(png, await Deno.readFile(`${folder}/a/00${i}_red-torus.png`));
  }
  const best = ["--method", "best-of-n", "--attempts", "2", "--seed", "5"];
  await succeed("generate", "blue cone", ...best, ...common, "-o", `${folder}/b`);
  const wanted = await Deno.readFile(`${folder}/b/000_blue-cone.png`);
  assertEquals(Uint8Array.fromBase64(searched.data![0]!.b64_json!), wanted);

  // By an address.
  const linked = await client.images.generate(
    { prompt: "8", seed: 5, response_format: "url" } as { prompt: string },
  );
  const picture = await fetch(linked.data![0]!.url!);
  const { width } = RgbaImage.decode(new Uint8Array(await picture.arrayBuffer()));
  assertEquals(linked.size as string, `${width}x${width}`);

  // As it appears.
  const stream = await client.images.generate({ prompt: "red torus", stream: true, partial_images: 2 });
  const events = await Array.fromAsync(stream);
  assertEquals(events.map(({ type }) => type), [
    "image_generation.partial_image",
    "image_generation.partial_image",
    "image_generation.completed",
  ]);
  for (const { b64_json } of events) {
    assertEquals(RgbaImage.decode(Uint8Array.fromBase64(b64_json)).width, width);
  }

  // What is wrong is told as the client expects it.
  const refused = await client.images.generate({ prompt: "red toruss" }).catch((error) => error);
  assert(refused instanceof OpenAI.BadRequestError);
  assertStringIncludes(refused.message, 'did you mean "red torus"?');
  const wrong = await client.images.generate({ prompt: "red torus", user: "me" }).catch((error) => error);
  assert(wrong instanceof OpenAI.BadRequestError);
  assertEquals([wrong.param, wrong.code], ["user", "unknown_parameter"]);
  const other = await client.images.generate({ prompt: "x", model: "dall-e-3" }).catch((error) => error);
  assert(other instanceof OpenAI.NotFoundError);

  // It ends with what was begun.
  const last = client.images.generate({ prompt: "red torus" });
  while (!/(running|queue)_images 1\n/.test(await (await fetch(`${url}/metrics`)).text()));
  const code = stop();
  assertEquals((await last).data!.length, 1);
  assertEquals(await code, 0);
  assertMatch(said(), /^varscale: loading demo\nvarscale: ending when what was asked for is answered\n$/);
});

testInFolder("varscale serve: ends at once while the model loads", async () => {
  const controller = new AbortController();
  const lines: string[] = [];
  const code = await main(["serve", "--port", "0", "--device", "cpu", "--cpu-provider", "wasm"], {
    out: () => {},
    err: (text) => {
      lines.push(text);
      if (text.includes("loading")) controller.abort(new Interruption("SIGTERM"));
    },
    terminal: false,
    signal: controller.signal,
  });
  assertEquals(code, 143);
  assertEquals(lines, ["varscale: loading demo\n", "varscale: terminated\n"]);
});

Deno.test("varscale serve: refuses a port that is taken, and what a server cannot have", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const cases: readonly [readonly string[], string][] = [
    [
      ["--port", String(taken.addr.port)],
      `port ${taken.addr.port}: somebody else does; choose another --port`,
    ],
    [["--port", "65536"], "Option --port must be an integer from 0 to 65535"],
    [["--allow-origin", "example.org"], 'Option --allow-origin must be "*", or origins like'],
    [["--public-url", "ftp://example.org"], 'Option --public-url must be an address like "https://'],
    [["--attempts", "2"], "Option --attempts is one of Best-of-N"],
    [
      ["--method", "beam", "--verifier", "clip:/nowhere"],
      "Option --verifier must name a network that is there",
    ],
    [["red torus"], 'Unexpected argument "red torus"'],
    [["--output", "x"], "Unknown option --output"],
  ];
  for (const [args, message] of cases) {
    const { code, err } = await run(["serve", ...args]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, message);
  }
  const missing = await run(["serve", "--port", "0", "--model", "/nowhere", "--device", "cpu"]);
  assertEquals(missing.code, 2, missing.err);
  assertStringIncludes(missing.err, "/nowhere");
});

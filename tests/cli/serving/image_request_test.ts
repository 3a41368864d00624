/** What a request for images may say, and in which words it is refused. */

import { assertEquals, assertThrows } from "@std/assert";
import { ApiError } from "../../../cli/serving/api_error.ts";
import { readImageRequest } from "../../../cli/serving/image_request.ts";
import type { GivenValues } from "../../../cli/serving/request_options.ts";
import { FACTS } from "./fake_painter.ts";

const LIMITS = { images: 10, prompt: 20, pixels: 1024 };

function read(body: Record<string, unknown>, values: GivenValues = {}, facts = FACTS) {
  return readImageRequest({ prompt: "red", ...body }, facts, { limits: LIMITS, values });
}

Deno.test("readImageRequest: fields of OpenAI's interface, and options of varscale generate", () => {
  assertEquals(read({}), {
    ...{ prompt: "red", images: 1, keep: 1, seed: undefined, indices: undefined, values: {}, coupled: false },
    ...{ format: "b64_json", stream: false, previews: [] },
  });
  const full = read({
    ...{ model: "fake", n: 2, size: "8x8", seed: "18446744073709551615", response_format: "url" },
    ...{
      output_format: "png",
      quality: "auto",
      background: "opaque",
      output_compression: 100,
      stream: false,
    },
    varscale: { cfg: [3, 2, 1, 1], top_k: 30, min_p: 0.1, more_smooth: true, scaling: true, samples: 5 },
  });
  assertEquals(full.values, {
    ...{ cfg: [3, 2, 1, 1], topK: 30, minP: 0.1, moreSmooth: true, scaling: true, samples: 5 },
  });
  assertEquals([full.images, full.seed, full.indices, full.format], [2, 2n ** 64n - 1n, [0, 1], "url"]);
  assertEquals(read({ seed: 3, varscale: { indices: [7, 5] } }).indices, [7, 5]);
  assertEquals(read({ seed: 3, varscale: { indices: [7, 5] } }).images, 2);
  assertEquals(read({ varscale: { preset: "published" } }).coupled, true);
  // One in the middle; two at thirds, of four scales.
  assertEquals(read({ stream: true, partial_images: 1 }).previews, [-3]);
  assertEquals(read({ stream: true, partial_images: 2 }).previews, [-4, -2]);
  assertEquals(read({ stream: true, partial_images: 3 }).previews, [-4, -3, -2]);
  const flexible = { ...FACTS, flexible: ["size"] };
  assertEquals(read({ size: "16x24" }, {}, flexible).values, { size: { width: 16, height: 24 } });
});

Deno.test("readImageRequest: options of the server hold unless the request says otherwise", () => {
  const server: GivenValues = { cfg: 4, method: ["best-of-n"], attempts: 3, moreSmooth: true };
  assertEquals(read({}, server).values, server);
  assertEquals(read({ varscale: { cfg: 1, attempts: 2, more_smooth: false } }, server).values, {
    ...{ cfg: 1, method: ["best-of-n"], attempts: 2, moreSmooth: false },
  });
  // A method of its own says all of the search.
  assertEquals(read({ varscale: { method: "none" } }, server).values, {
    cfg: 4,
    moreSmooth: true,
    method: [],
  });
  const judged: GivenValues = { method: ["beam"], verifier: "clip:/models/clip" };
  assertEquals(read({ varscale: { verifier: "clip:/models/clip" } }, judged).values, judged);
});

Deno.test("readImageRequest: what cannot be done is refused by its name", () => {
  const cases: readonly [Record<string, unknown>, string | null, string][] = [
    [{ prompt: undefined }, "prompt", '"prompt" must be a text'],
    [{ prompt: " " }, "prompt", '"prompt" must be a text'],
    [{ prompt: "x".repeat(21) }, "prompt", "at most 20 characters: current number is 21"],
    [{ n: 0 }, "n", '"n" must be an integer from 1 to 10: current value is 0'],
    [{ n: "2" }, "n", 'current value is "2"'],
    [{ n: 6, varscale: { method: "beam", keep: 2 } }, "n", "at most 10 pictures: current number is 12"],
    [{ seed: 1.5 }, "seed", "current value is 1.5"],
    [{ seed: 2 ** 60 }, "seed", '"seed" must be an integer from 0 to 2^53 - 1, or to 2^64 - 1 as a text'],
    [{ size: "8x9" }, "size", '"size" must be "auto" or "8x8", the size of this model\'s pictures'],
    [{ size: "large" }, "size", 'like "8x8": current value is "large"'],
    [{ response_format: "png" }, "response_format", 'must be "b64_json" or "url"'],
    [
      { response_format: "url", stream: true },
      "response_format",
      'must be "b64_json" where "stream" is true',
    ],
    [{ output_format: "webp" }, "output_format", 'must be "png", as pictures are PNG files'],
    [{ quality: "hd" }, "quality", 'must be "auto", as settings are options of "varscale"'],
    [{ background: "transparent" }, "background", 'must be "auto" or "opaque"'],
    [{ output_compression: 50 }, "output_compression", "must be 100"],
    [{ stream: "yes" }, "stream", "must be true or false"],
    [{ partial_images: 2 }, "partial_images", '"partial_images" goes with "stream": true'],
    [{ partial_images: 4, stream: true }, "partial_images", "from 0 to 3"],
    [{ model: "gpt-image-1" }, "model", 'The model must be "fake", which is loaded'],
    [{ user: "me" }, "user", 'Unknown field "user"; options of varscale generate stand in "varscale"'],
    [{ promt: "red" }, "promt", 'did you mean "prompt"?'],
    [{ varscale: [] }, "varscale", 'The value of "varscale" must be an object'],
    [{ varscale: { top_k: -1 } }, "varscale.top_k", "Option --top-k must be an integer of at least 0"],
    [
      { varscale: { top_k: {} } },
      "varscale.top_k",
      "Option --top-k must be a text, a number, true, false, or a list",
    ],
    [{ varscale: { topk: 1 } }, "varscale.topk", "Unknown option --topk; did you mean --top-k?"],
    [{ varscale: { scaling: 1 } }, "varscale.scaling", "Option --scaling takes no value"],
    [{ varscale: { "cfg=1 --model": 1 } }, "varscale.cfg=1 --model", "Unknown option"],
    [{ varscale: { attempts: 3 } }, "varscale", "add --method best-of-n"],
    [{ varscale: { indices: [1] } }, "varscale.indices", '"varscale.indices" goes with "seed"'],
    [{ seed: 1, n: 2, varscale: { indices: [1] } }, "varscale.indices", "one number for each of 2 images"],
    // A client chooses no files, networks or devices of the server's.
    [{ varscale: { model: "demo-t2i" } }, "varscale.model", "Unknown option --model"],
    [{ varscale: { output: "/tmp" } }, "varscale.output", "Unknown option --output"],
    [
      { varscale: { text_features: "/etc/passwd" } },
      "varscale.text_features",
      "Unknown option --text-features",
    ],
    [
      { varscale: { method: "beam", verifier: "hf:someone/large" } },
      "varscale.verifier",
      "must be own, evidence, density, or what the server was started with",
    ],
    [
      { varscale: { method: "tts-var", features: "/etc/net.json" } },
      "varscale.features",
      "must be own, latent",
    ],
    [
      { varscale: { patch_numbers: "1,2,64" } },
      "varscale.patch_numbers",
      "at most 1024 pixels: 128x128 have 16384",
    ],
  ];
  for (const [body, param, message] of cases) {
    const error = assertThrows(() => read(body), ApiError, message);
    assertEquals([error.param, error.type], [param, "invalid_request_error"], message);
  }
  assertThrows(
    () => read({ size: "64x64" }, {}, { ...FACTS, flexible: ["size"] }),
    ApiError,
    "at most 1024 pixels: 64x64 have 4096",
  );
});

/**
 * The rules of the house: who may import whom, what files are called and how they open, what is documented
 * and tested. What each rule refuses is tested on made-up trees in `house/`; the style within a file is left
 * to `tools/lint_plugin.ts`, the formatter and the linter.
 *
 * @module
 */

import { assert } from "@std/assert";
import deno from "../deno.json" with { type: "json" };
import { COVERED } from "./house/covered.ts";
import { documentationOf, undocumented, withoutExample } from "./house/documentation.ts";
import { processWide, strayTests, unintroduced, untested, vagueNames, wideComments } from "./house/files.ts";
import { circles, forbidden, packageDoors, sideDoors, unresolvable, upwardImports } from "./house/imports.ts";
import { importsOf, readTree } from "./house/tree.ts";

/** From top to bottom; nothing imports upwards. A floor that is not there yet costs nothing. */
const FLOORS = [
  "bench",
  "cli",
  "mod.ts",
  "evaluation",
  "sampler",
  "models",
  "kernels",
  "deno.json",
];

/** Where people come in: what stands here is public. */
const DOORS = [
  "mod.ts",
  "evaluation/mod.ts",
  "kernels/mod.ts",
  "models/mod.ts",
  "sampler/mod.ts",
  "cli/main.ts",
];

/** The files, and the folders with their slash, that may import a package. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  // The types of both runtimes are those of the one for the web.
  "onnxruntime-web": [
    "models/graphs/web_graph_session.ts",
    "models/graphs/native_graph_session.ts",
    "models/graphs/native_runtime.ts",
    "bench/peers/",
  ],
  "onnxruntime-node": [
    "models/graphs/native_runtime.ts",
    "tests/models/graphs/native_processes.ts",
  ],
  "@huggingface/hub": ["models/hub/server.ts"],
  "@huggingface/tokenizers": ["models/text/tokenizer.ts"],
  "@bufbuild/protobuf": ["models/graphs/graph_builder.ts", "models/graphs/graph_file.ts"],
  "@zip.js/zip.js": ["models/checkpoint/archive.ts"],
  "@jsquash/jpeg": ["sampler/pictures/codecs.ts"],
  "@jsquash/webp": ["sampler/pictures/codecs.ts"],
  "pngjs": ["sampler/pictures/image.ts"],
  // The standard library; in the program by its address at npm, in tests by the name in deno.json.
  "deno-std": ["cli/"],
  "@observablehq/plot": ["evaluation/report/plots.ts"],
  // Object stores, and the server that stands for one in tests.
  "@aws-sdk/client-s3": ["cli/series/s3_place.ts"],
  "fauxqs": ["tests/cli/series/s3_place_test.ts"],
  // The queue on Redis, and a reader of what Kubernetes is told.
  "bullmq": ["cli/cluster/shard_queue.ts", "bench/queue_drill.ts"],
  "ioredis": ["cli/cluster/redis_connection.ts", "bench/queue_drill.ts"],
  "yaml": ["tests/cli/cluster/kubernetes_job_test.ts"],
  "linkedom": ["evaluation/report/plots.ts"],
  // The page of the studio, which the browser gets as they are; what drives the browser is for tests.
  "preact": ["cli/studio/page_files.ts"],
  "htm": ["cli/studio/page_files.ts"],
  "playwright-core": ["tests/cli/studio/page_test.ts"],
  "@std/assert": ["tests/", "examples/"],
  // The client that the server is to understand.
  "openai": ["tests/cli/commands/serve_test.ts"],
  // Peers, and a compiler besides Deno's; the name of a backend of TensorFlow.js is put together.
  "@jax-js/jax": ["bench/peers/"],
  "@tensorflow/tfjs-core": ["bench/peers/"],
  "@tensorflow/tfjs-backend-": ["bench/peers/"],
  "webgpu": ["tests/kernels/compilers_test.ts", "tests/kernels/tint_cases.ts"],
};

/** Tests that mirror no file; each opens with what it is about. */
const STORIES: readonly string[] = [
  "tests/bad_input_test.ts",
  "tests/bench/peers_test.ts",
  "tests/cli/families_test.ts",
  "tests/cli/flexvar_test.ts",
  "tests/cli/infinity_test.ts",
  "tests/cli/prompt_runs_test.ts",
  "tests/cli/prompts_test.ts",
  "tests/cli/studio/page_test.ts",
  "tests/documents_test.ts",
  "tests/examples_test.ts",
  "tests/house_shaders_test.ts",
  "tests/house_test.ts",
  "tests/kernels/compilers_test.ts",
  "tests/kernels/page_test.ts",
  "tests/kernels/candidates/var_scaling_golden_test.ts",
  "tests/kernels/device/buffers_test.ts",
  "tests/models/checkpoint/fuzz_test.ts",
  "tests/models/checkpoint/hostile_test.ts",
  "tests/models/demo_reward_test.ts",
  "tests/models/flexvar/generate_test.ts",
  "tests/models/flexvar/golden_test.ts",
  "tests/models/flexvar/reference_test.ts",
  "tests/models/hub/processes_test.ts",
  "tests/models/infinity/demo_test.ts",
  "tests/models/infinity/golden_test.ts",
  "tests/models/var/golden_test.ts",
  "tests/other_family/hub_test.ts",
  "tests/other_family/mosaic_test.ts",
  "tests/other_family/one_folder_test.ts",
  "tests/other_family/optional_part_test.ts",
  "tests/sampler/bits_test.ts",
  "tests/sampler/flexvar_test.ts",
  "tests/sampler/searches_test.ts",
  "tests/sampler/stream_test.ts",
  "tests/url_test.ts",
];

const root = new URL("../", import.meta.url);
const tree = await readTree(root, [".js", ".ts", ".wgsl"], ["out", "docs"]);
const imports = importsOf(tree);
const documentation = await documentationOf(root, DOORS);

function requireNone(offences: readonly string[]): void {
  assert(offences.length === 0, `${offences.length} offences\n${offences.join("\n")}`);
}

Deno.test("house: no modules import one another in a circle", () => {
  requireNone(circles(imports));
});

Deno.test("house: no module imports upwards", () => {
  requireNone(upwardImports(imports, FLOORS));
});

Deno.test("house: what stands on the public face uses nothing else", () => {
  requireNone(sideDoors(imports, ["cli"], ["mod.ts", "evaluation/mod.ts", "deno.json"]));
});

Deno.test("house: examples show the doors and nothing behind them", () => {
  requireNone(sideDoors(imports, ["examples"], DOORS.filter((door) => door !== "cli/main.ts")));
});

Deno.test("house: benches do not know the command line", () => {
  requireNone(forbidden(imports, "bench", "cli"));
});

Deno.test("house: every package comes in by its door", () => {
  // The tests of the rules make up packages.
  requireNone(packageDoors(imports.filter(({ from }) => !from.startsWith("tests/house/")), PACKAGES));
});

Deno.test("house: an import by URL resolves all that it reaches", () => {
  requireNone(unresolvable(imports, DOORS));
});

Deno.test("house: every module opens with what it is for", () => {
  requireNone(unintroduced(tree));
});

Deno.test("house: names of files say what is in them", () => {
  requireNone(vagueNames(tree.keys()));
});

Deno.test("house: every test mirrors a file or tells a story", () => {
  requireNone(strayTests(tree, STORIES));
});

Deno.test("house: every file of the program has a test", () => {
  requireNone(untested(tree, imports, COVERED));
});

Deno.test("house: tests leave alone what belongs to the whole process", () => {
  requireNone(processWide(tree));
});

Deno.test("house: comments of shaders keep within the formatter's width", () => {
  requireNone(wideComments(tree, deno.fmt.lineWidth));
});

Deno.test("house: all that is exported is documented", () => {
  requireNone(undocumented(documentation));
});

Deno.test("house: every exported function and class is shown in use", () => {
  requireNone(withoutExample(documentation));
});

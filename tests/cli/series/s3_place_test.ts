/** Runs into a bucket, of a server that speaks as S3 does and keeps everything in memory. */

import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { startFauxqs } from "npm:fauxqs@2.4.1";
import { UsageError } from "../../../cli/io.ts";
import { bucketAddress, S3Place } from "../../../cli/series/s3_place.ts";
import { environment } from "../../environment.ts";
import { tinyCheckpoints } from "../../sampler/models.ts";
import { filesIn, run, succeed, testInFolder } from "../run.ts";

/** A small model, written to a folder, and how a run names it. */
async function tinyModel(folder: string): Promise<string[]> {
  const files = await tinyCheckpoints();
  await Deno.writeFile(`${folder}/var.safetensors`, files.var);
  await Deno.writeFile(`${folder}/vae.safetensors`, files.vae);
  return [
    ...["--var-ckpt", `${folder}/var.safetensors`, "--vae-ckpt", `${folder}/vae.safetensors`],
    ...["--device", "cpu", "--no-scaling"],
  ];
}

const SECRET = "s3cret/of+nobody";

/** Variables that a machine may have of its own. */
const VARIABLES = [
  ...["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"],
  ...["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EC2_METADATA_DISABLED"],
];

/** Has some variables of the environment for a while, and none of the others that clients look at. */
function onlyVariables(values: Readonly<Record<string, string>>): Disposable {
  return environment({ ...Object.fromEntries(VARIABLES.map((name) => [name, undefined])), ...values });
}

/** A server with the bucket `pictures`, and what a client needs to reach it. */
async function store() {
  const server = await startFauxqs({ port: 0, logger: false });
  server.createBucket("pictures");
  const variables = {
    AWS_ENDPOINT_URL_S3: server.address,
    AWS_ACCESS_KEY_ID: "somebody",
    AWS_SECRET_ACCESS_KEY: SECRET,
    AWS_EC2_METADATA_DISABLED: "true",
  };
  return { variables, [Symbol.asyncDispose]: () => server.stop() };
}

Deno.test("bucketAddress: a bucket and what stands before the names, and nothing else", () => {
  assertEquals(bucketAddress("s3://pictures"), { bucket: "pictures", prefix: "" });
  assertEquals(bucketAddress("s3://pictures/a b/c"), { bucket: "pictures", prefix: "a b/c/" });
  for (const text of ["s3://", "s3://x", "s3://a_b?/c", "s3://pictures/a//b", "s3://pictures/../b", "out"]) {
    assertThrows(() => bucketAddress(text), UsageError, `current value is "${text}"`);
  }
});

testInFolder(
  "S3Place: a run goes into a bucket, goes on there, and has the bytes of a folder",
  async (folder) => {
    await using server = await store();
    using _environment = onlyVariables(server.variables);
    const output = "s3://pictures/runs/one";
    const model = await tinyModel(folder);
    const series = ["run", ...model, "--classes", "0-2", "--seed", "5"];
    await succeed(...series, "-n", "1", "-o", output, "--shard", "1/2");
    await succeed(...series, "-n", "1", "-o", output, "--shard", "2/2");
    // It grows, and only what is missing is made.
    assertStringIncludes(
      (await succeed(...series, "-n", "2", "-o", output)).out,
      "are in s3://pictures/runs/one: 3 made",
    );
    assertStringIncludes((await succeed(...series, "-n", "2", "-o", output)).out, "all of them were");
    await succeed(...series, "-n", "2", "-o", `${folder}/out`);
    await using place = await S3Place.open(output, new AbortController().signal);
    const names = (await Array.fromAsync(place.names())).sort();
    assertEquals(names, filesIn(`${folder}/out`).filter((name) => !name.startsWith(".lock")));
    const pictures = names.filter((name) => name.endsWith(".png"));
    assertEquals(await place.whole([...pictures, "class_9_img_0.png"]), new Set(pictures));
    const address = server.variables.AWS_ENDPOINT_URL_S3;
    for (const name of pictures) {
      const bytes = await (await fetch(`${address}/pictures/runs/one/${name}`)).bytes();
      assertEquals(bytes, await Deno.readFile(`${folder}/out/${name}`));
    }
    const record = JSON.parse((await place.read("run.json"))!);
    assertEquals(record.imagesPerClass, 2);
    assertEquals(JSON.stringify(record).includes(SECRET), false);
    // Another seed is another run.
    const other = await run(["run", ...model, "--classes", "0-2", "-n", "2", "--seed", "6", "-o", output]);
    assertEquals(other.code, 2);
    assertStringIncludes(other.err, `Cannot go on in ${output}: seed is 5 there and 6 here`);
    // What is there, and is no run's, is left alone.
    await place.write("stranger/class_0_img_0.png", "none");
    const stranger = await run(["run", ...model, "-n", "1", "-o", `${output}/stranger`]);
    assertStringIncludes(stranger.err, "it has images and no run.json; choose another --output");
    await place.remove("stranger/class_0_img_0.png");
    await place.remove("stranger/class_0_img_0.png");
    assertEquals(await place.read("stranger/class_0_img_0.png"), undefined);
  },
);

testInFolder("S3Place: a bucket of more files than one answer has is read to its end", async () => {
  await using server = await store();
  using _environment = onlyVariables(server.variables);
  await using place = await S3Place.open("s3://pictures", new AbortController().signal);
  const files = Array.from({ length: 1005 }, (_, i) => `class_0_img_${i}.png`);
  const content = new Uint8Array(64);
  for (let at = 0; at < files.length; at += 50) {
    await Promise.all(files.slice(at, at + 50).map((file) => place.write(file, content)));
  }
  assertEquals((await place.whole(files)).size, files.length);
  assertEquals((await Array.fromAsync(place.names())).length, files.length);
});

testInFolder(
  "S3Place: what cannot be reached, is not there or is refused is told in a sentence",
  async () => {
    await using server = await store();
    const attempt = async (
      output: string,
      variables: Readonly<Record<string, string>>,
      ...more: string[]
    ): Promise<string> => {
      using _environment = onlyVariables(variables);
      const { code, err } = await run(["run", "-n", "1", "-o", output, ...more]);
      assertEquals(code, 2, err);
      assert(!err.includes(SECRET));
      return err;
    };
    const { variables } = server;
    const bucket = "s3://pictures/x";
    assertStringIncludes(
      await attempt("s3://nowhere/x", variables),
      's3://nowhere/x: there is no bucket "nowhere"',
    );
    assertStringIncludes(await attempt("s3://no", variables), 'current value is "s3://no"');
    assertStringIncludes(
      await attempt(bucket, variables, "--npz"),
      "Options --npz and --output s3://… exclude",
    );
    const { AWS_ENDPOINT_URL_S3, AWS_EC2_METADATA_DISABLED } = variables;
    assertStringIncludes(
      await attempt(bucket, { AWS_ENDPOINT_URL_S3, AWS_EC2_METADATA_DISABLED }),
      "no credentials are given; set AWS_ACCESS_KEY_ID",
    );
    assertStringIncludes(
      await attempt(bucket, { ...variables, AWS_ENDPOINT_URL_S3: "store.example" }),
      'Variable AWS_ENDPOINT_URL_S3 must be an address like "https://store.example.org"',
    );
    const nobody = { ...variables, AWS_ENDPOINT_URL_S3: "http://127.0.0.1:1" };
    assertStringIncludes(await attempt(bucket, nobody), "the store cannot be reached");
    const refusing = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
      const text = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
      return new Response(text, { status: 403, headers: { "content-type": "application/xml" } });
    });
    const refused = { ...variables, AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${refusing.addr.port}` };
    assertStringIncludes(
      await attempt(bucket, refused),
      "the store refuses these credentials: Access Denied",
    );
    await refusing.shutdown();
  },
);

testInFolder("S3Place: whoever is ended waits for no store", async () => {
  const silent = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  using _environment = onlyVariables({
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${silent.addr.port}`,
    AWS_ACCESS_KEY_ID: "somebody",
    AWS_SECRET_ACCESS_KEY: SECRET,
  });
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("ended")), 50);
  await assertRejects(() => S3Place.open("s3://pictures", controller.signal), Error, "ended");
  silent.close();
});

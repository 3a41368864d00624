/**
 * `varscale download`: a model in the cache, and where it lies.
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { environment } from "../../environment.ts";
import { content, FakeHub } from "../../models/hub/fake_hub.ts";
import { run } from "../run.ts";

/** Runs a test with a hub that the environment names. */
function testWithHub(name: string, test: (hub: FakeHub) => Promise<void>): void {
  Deno.test(name, async () => {
    await using hub = new FakeHub();
    hub.files.set("var_d16.pth", content(10_000));
    hub.files.set("var_d30.pth", content(20_000, 2));
    hub.files.set("vae_ch160v4096z32.pth", content(5000, 3));
    using _hub = environment({
      HF_ENDPOINT: hub.endpoint,
      HF_HUB_CACHE: hub.cache,
      HF_TOKEN: "hf_test",
    });
    await test(hub);
  });
}

const ARGS = ["download", "hf:owner/name", "--depth", "16"];

testWithHub("varscale download: a download says how far it is and where the files lie", async (hub) => {
  hub.token = "hf_test";
  const snapshot = `${hub.cache}/models--owner--name/snapshots/${hub.commit}`;
  const paths = { var: `${snapshot}/var_d16.pth`, vae: `${snapshot}/vae_ch160v4096z32.pth` };
  const first = await run(ARGS);
  assertEquals([first.code, first.out], [0, `var  ${paths.var}\nvae  ${paths.vae}\n`], first.err);
  assertEquals(first.err, "", "What is quick needs no progress");
  assertEquals(await Deno.readFile(paths.var), content(10_000));

  const again = await run([...ARGS, "--json"]);
  assertEquals([again.code, JSON.parse(again.out), again.err], [0, { place: "hf:owner/name", ...paths }, ""]);
  assertEquals(hub.transfers.length, 2);

  const other = await Deno.makeTempDir();
  try {
    const { out, err } = await run([...ARGS, "--cache", other, "--json"], { terminal: true });
    assertStringIncludes(JSON.parse(out).var, other);
    assertEquals(err, "");
  } finally {
    await Deno.remove(other, { recursive: true });
  }
});

testWithHub(
  "varscale download: the licence of tuned models is said before anything is fetched",
  async (hub) => {
    hub.repository = "nvidia/DirectDiscriminativeOptimization";
    hub.files.clear();
    const { code, err } = await run(["download", `hf:${hub.repository}`, "--depth", "16"]);
    assertEquals(code, 1);
    const [warning, failure] = err.split("\n") as [string, string];
    assertStringIncludes(warning, "VAR tuned by DDO (arXiv 2503.01103), licence CC BY-NC-SA 4.0");
    assertStringIncludes(warning, "does not permit commercial use");
    assertStringIncludes(failure, "var_d16.pth");
    hub.repository = "Zigeng/VAR_CoDe";
    const together = await run(["download", `hf:${hub.repository}/drafter_8.pth`]);
    assertStringIncludes(together.err, "licence MIT; drafter_K draws the scales before K only");
  },
);

testWithHub(
  "varscale download: models of another family are got by the names under which they were published",
  async (hub) => {
    hub.files.clear();
    hub.files.set("FlexVARd16-epo179.pth", content(9000));
    hub.files.set("FlexVARd24-epo349.pth", content(8000, 2));
    hub.files.set("FlexVAE.pth", content(4000, 3));
    const { code, out, err } = await run(["download", "hf:owner/name", "--depth", "24", "--json"]);
    assertEquals(code, 0, err);
    const { place, var: transformer, vae } = JSON.parse(out);
    assertEquals(place, "hf:owner/name");
    assertEquals(await Deno.readFile(transformer), content(8000, 2));
    assertEquals(await Deno.readFile(vae), content(4000, 3));
    assertStringIncludes(
      (await run(["download", "hf:owner/name"])).err,
      "it has several, say which by its depth: 16, 24",
    );
  },
);

testWithHub("varscale download: what is wrong is said, with the right exit code", async (hub) => {
  const cases: readonly [readonly string[], number, string][] = [
    [["download"], 2, "What to download is needed, like hf:FoundationVision/var"],
    [["download", "hf:a/b", "c"], 2, 'Unexpected argument "c"'],
    [
      ["download", "owner/name"],
      2,
      'Cannot download owner/name: did you mean "hf:owner/name"?',
    ],
    [["download", "hf:name"], 2, 'its name must be an owner and a name, like "hf:FoundationVision/var"'],
    [["download", "hf:owner/name", "--depth", "0"], 2, "Option --depth must be an integer of at least 1"],
    [["download", "hf:owner/name"], 1, "it has several, say which by its depth: 16, 30"],
    [["download", "hf:owner/name", "--depth", "20"], 1, "no such file; there is depth 16, 30"],
    [["download", "hf:owner/name@v2", "--depth", "16"], 1, 'the repository has no revision "v2"'],
  ];
  for (const [args, code, message] of cases) {
    const outcome = await run(args);
    assertEquals([outcome.code, outcome.out], [code, ""], args.join(" "));
    assertStringIncludes(outcome.err, message);
  }
  assertEquals(hub.transfers, []);
});

testWithHub("varscale download: Ctrl-C ends a download, and the next goes on from there", async (hub) => {
  hub.cdnFaults.push({ silentAfter: 4000 });
  const controller = new AbortController();
  const running = run(ARGS, { signal: controller.signal });
  const blobs = `${hub.cache}/models--owner--name/blobs`;
  const begun = (): boolean => {
    try {
      return Array.from(Deno.readDirSync(blobs)).some(({ name }) =>
        Deno.statSync(`${blobs}/${name}`).size === 4000
      );
    } catch {
      return false;
    }
  };
  for (let i = 0; i < 1000 && !begun(); i++) await new Promise((done) => setTimeout(done, 10));
  controller.abort();
  const { code, err } = await running;
  assertEquals([code, err.endsWith("varscale: interrupted\n")], [130, true]);
  assertEquals((await run(ARGS)).code, 0);
  assertEquals(hub.transfers, [null, "bytes=4000-", null]);
});

Deno.test("varscale: a repository without hf: is asked back, by every command that takes a model", async () => {
  const meant = 'did you mean "hf:FoundationVision/var"?';
  const folder = await Deno.makeTempDir();
  const output = ["--output", `${folder}/made/for/nothing`];
  try {
    for (
      const args of [
        ["download", "FoundationVision/var"],
        ["download", "https://huggingface.co/FoundationVision/var/tree/main"],
        ["generate", "--model", "FoundationVision/var", ...output],
        ["convert", "--model", "FoundationVision/var", ...output],
      ]
    ) {
      const { code, err } = await run(args);
      assertStringIncludes(err, meant, args.join(" "));
      assertEquals(code === 0, false);
    }
    const page = ["generate", "--model", "https://huggingface.co/FoundationVision/var", ...output];
    assertStringIncludes((await run(page)).err, 'expected "hf:FoundationVision/var" for a repository');
    assertEquals(Array.from(Deno.readDirSync(folder)), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

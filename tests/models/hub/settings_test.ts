import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { hubSettings } from "../../../models/hub/settings.ts";
import { type ChildOptions, runChild } from "./child.ts";

async function settings(
  env: Record<string, string>,
  options: object = {},
  child: ChildOptions = {},
): Promise<Record<string, unknown>> {
  const { result, complaint } = await runChild(["settings", JSON.stringify(options)], { env, ...child });
  assertEquals(complaint, "");
  return result;
}

Deno.test("hubSettings: the cache lies where Python's library looks for it", async () => {
  const cases: readonly [Record<string, string>, string][] = [
    [{}, "/home/me/.cache/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/x", HF_HOME: "~/hf" }, "/home/me/hf/hub"],
    [{ HF_HOME: "$BIG/${SUB}/$NONE", BIG: "/big", SUB: "s" }, "/big/s/$NONE/hub"],
    [{ HF_HOME: "/hf", HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
    [{ HF_HOME: "/hf", HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/cache" }, "/cache"],
    [{ HF_HOME: "/hf", HF_HUB_CACHE: "" }, "/hf/hub"],
  ];
  const found = cases.map(async ([env]) => (await settings({ HOME: "/home/me", ...env })).cacheFolder);
  assertEquals(await Promise.all(found), cases.map(([, folder]) => folder));
  const option = await settings({ HF_HUB_CACHE: "/cache" }, { cacheFolder: "/mine" });
  assertEquals(option.cacheFolder, "/mine");
});

Deno.test("hubSettings: endpoint, token, offline mode and time limit come from the environment, and options come first", async () => {
  const home = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${home}/token`, "hf_stored\n");
    await Deno.writeTextFile(`${home}/other`, "hf_other");
    const env = { HF_HOME: home };
    const plain = await settings(env);
    const { endpoint, token, offline, timeout } = plain;
    assertEquals([endpoint, token, offline, timeout], [
      "https://huggingface.co/",
      "hf_stored",
      false,
      10_000,
    ]);
    const all = {
      ...env,
      HF_ENDPOINT: "http://mirror:1/hf/",
      HF_HUB_OFFLINE: "YES",
      HF_HUB_DOWNLOAD_TIMEOUT: "3",
    };
    const set = await settings({ ...all, HF_TOKEN_PATH: `${home}/other` });
    assertEquals(
      [set.endpoint, set.token, set.offline, set.timeout],
      ["http://mirror:1/hf/", "hf_other", true, 3000],
    );
    assertEquals((await settings({ ...env, HUGGING_FACE_HUB_TOKEN: "hf_old" })).token, "hf_old");
    assertEquals(
      (await settings({ ...env, HUGGING_FACE_HUB_TOKEN: "hf_old", HF_TOKEN: "hf_new" })).token,
      "hf_new",
    );
    const options = { endpoint: "http://mine", token: "hf_mine", offline: false, timeout: 7 };
    const mine = await settings(all, options);
    assertEquals({ ...mine, ...options, endpoint: "http://mine/" }, mine);
    assertEquals("token" in await settings({ ...all, HF_TOKEN: "hf_new" }, { token: false }), false);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("hubSettings: what may not be read counts as not set, without a question", async () => {
  const env = { HOME: "/home/me", HF_TOKEN: "hf_secret", HF_ENDPOINT: "http://mirror" };
  const some = await settings(env, {}, { permissions: ["--allow-env=HOME", "--allow-read"] });
  assertEquals(
    [some.cacheFolder, some.endpoint, some.token],
    ["/home/me/.cache/huggingface/hub", "https://huggingface.co/", undefined],
  );
  const closed = await settings(env, {}, { permissions: ["--allow-env=HOME"] });
  assertEquals([closed.cacheFolder, closed.token], [some.cacheFolder, undefined]);
  const none = await settings(env, { cacheFolder: "/mine" }, { permissions: [] });
  assertEquals([none.cacheFolder, none.token], ["/mine", undefined]);
  const { complaint } = await runChild(["settings", "{}"], { env, permissions: [] });
  assertStringIncludes(complaint, "--allow-env=HOME,HF_HOME,HF_HUB_CACHE,HF_TOKEN or give cacheFolder");
});

Deno.test("hubSettings: wrong options are refused", async () => {
  const cacheFolder = "/mine";
  const wrong = (options: object, message: string): Promise<Error> =>
    assertRejects(() => hubSettings({ cacheFolder, token: false, ...options }), Error, message);
  await wrong({ cache: "x" }, 'the option "cache" is unknown');
  await wrong({ endpoint: "huggingface.co" }, "must be an http or https address");
  await wrong({ endpoint: "file:///x" }, "must be an http or https address");
  await wrong({ timeout: 0 }, "timeout must be an integer >= 1");
  await wrong({ retries: -1 }, "retries must be an integer >= 0");
  await wrong({ retryDelay: NaN }, "retryDelay must be an integer >= 0");
});

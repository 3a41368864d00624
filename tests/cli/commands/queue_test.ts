/** The command of the queue: what it prints, what it refuses, and that it tells no secret. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { QUEUE_VARIABLE } from "../../../cli/options/queue_options.ts";
import { testWithRedis } from "../cluster/redis.ts";
import { type Outcome, ROOT, run, succeed } from "../run.ts";

const SECRET = "s3cr3t";
const SERIES = ["--", "--model", "demo", "-o", "out"];

testWithRedis(
  "varscale queue: parts are added, counted and taken out",
  async (server) => {
    const queue = ["--queue", `redis://default:${SECRET}@127.0.0.1:${server.port}`];
    const outputs: Outcome[] = [];
    const print = async (...args: string[]): Promise<string> => {
      outputs.push(await succeed("queue", ...args));
      return outputs.at(-1)!.out;
    };
    assertEquals(await print("add", ...queue, "--shards", "3", ...SERIES), "3 shards added\n");
    assertEquals(
      await print("add", ...queue, "--shards", "3", ...SERIES),
      "0 shards added, 3 there already\n",
    );
    assertEquals(JSON.parse(await print("add", ...queue, "--json", "--shards", "1", ...SERIES)), {
      ...{ added: 1, again: 0, there: 0 },
    });
    assertEquals(await print("status", ...queue), "0 shards done, 0 at work, 4 waiting; 0 workers\n");
    assertEquals(JSON.parse(await print("status", ...queue, "--json")), {
      ...{ waiting: 4, atWork: 0, later: 0, done: 0, failed: 0, workers: 0, failures: [] },
    });
    assertEquals(
      await print("status", ...queue, "--name", "other"),
      "0 shards done, 0 at work, 0 waiting; 0 workers\n",
    );
    assertEquals(await print("drain", ...queue), "4 shards taken out\n");
    // Nor does the password get into what the server keeps.
    for await (const { name, isFile } of Deno.readDir(`${server.folder}/appendonlydir`)) {
      if (isFile) {
        outputs.push({
          code: 0,
          out: await Deno.readTextFile(`${server.folder}/appendonlydir/${name}`),
          err: "",
        });
      }
    }
    for (const { out, err } of outputs) {
      assertEquals([out.includes(SECRET), err.includes(SECRET)], [
        false,
        false,
      ]);
    }
  },
  ["--requirepass", SECRET],
);

Deno.test("varscale queue: what is no queue, and no run, is refused", async () => {
  const queue = ["--queue", "redis://127.0.0.1:1"];
  for (
    const [args, why] of [
      [[], "What to do with the queue is needed: add, status or drain"],
      [["stats"], 'current value is "stats"; did you mean status?'],
      [["add", ...queue], "Options of varscale run are needed behind --"],
      [["add", ...queue, "--", "--model", "demo"], "Option --output is needed"],
      [["status", ...queue, "--shards", "3"], "Option --shards goes with add"],
      [["drain", ...queue, "--", "-o", "out"], 'Unexpected argument "-o"'],
      [["status", "--queue", `https://ada:${SECRET}@queue`], "must begin with redis://"],
      [["status", ...queue, "--name", "a:b"], "Option --name must be at most 64 letters"],
      [
        ["status", ...queue],
        "Cannot reach the queue at redis://127.0.0.1:1/0: nobody takes connections there",
      ],
    ] as const
  ) {
    const { code, out, err } = await run(["queue", ...args]);
    assertEquals([code, out, err.includes(SECRET)], [2, "", false], err);
    assertStringIncludes(err, why);
  }
});

testWithRedis(
  "varscale queue: by rediss:// the connection is encrypted, and whose it is is looked at",
  async (server) => {
    const made = await new Deno.Command("openssl", {
      args: [
        ...[
          "req",
          "-x509",
          "-newkey",
          "ec",
          "-pkeyopt",
          "ec_paramgen_curve:prime256v1",
          "-nodes",
          "-days",
          "2",
        ],
        ...[
          "-keyout",
          "key.pem",
          "-out",
          "cert.pem",
          "-subj",
          "/CN=queue",
          "-addext",
          "subjectAltName=DNS:localhost",
        ],
        ...["-addext", "basicConstraints=critical,CA:FALSE"],
      ],
      cwd: server.folder,
      stderr: "null",
    }).output();
    assertEquals(made.success, true);
    await using secure = await secured(server.folder);
    const queue = async (env: Record<string, string>): Promise<{ code: number; text: string }> => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", `${ROOT}cli/main.ts`, "queue", "status"],
        env: { ...env, [QUEUE_VARIABLE]: `rediss://localhost:${secure.port}`, NO_COLOR: "1" },
      }).output();
      return { code, text: new TextDecoder().decode(new Uint8Array([...stdout, ...stderr])) };
    };
    const stranger = await queue({});
    assertEquals(stranger.code, 2, stranger.text);
    assertStringIncludes(stranger.text, `Cannot reach the queue at rediss://localhost:${secure.port}/0`);
    const known = await queue({ DENO_CERT: `${server.folder}/cert.pem` });
    assertEquals(known, { code: 0, text: "0 shards done, 0 at work, 0 waiting; 0 workers\n" });
  },
);

/** A server that takes encrypted connections alone. */
async function secured(folder: string): Promise<AsyncDisposable & { readonly port: number }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const process = new Deno.Command("redis-server", {
    args: [
      ...["--port", "0", "--tls-port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
      ...["--tls-cert-file", `${folder}/cert.pem`, "--tls-key-file", `${folder}/key.pem`],
      ...["--tls-ca-cert-file", `${folder}/cert.pem`, "--tls-auth-clients", "no"],
    ],
    stdout: "null",
  }).spawn();
  for (let tries = 0; tries < 200; tries++) {
    const there = await Deno.connect({ hostname: "127.0.0.1", port }).then(
      (it) => (it.close(), true),
      () => false,
    );
    if (there) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      process.kill("SIGKILL");
      await process.status;
    },
  };
}

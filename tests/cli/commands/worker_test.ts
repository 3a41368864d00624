/** Workers: what they make is what one run makes, whoever is killed on the way. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ShardChild } from "../../../cli/cluster/shard_child.ts";
import { ANSWER_MARK, linesOf } from "../../../cli/cluster/shard_messages.ts";
import { ShardWorker } from "../../../cli/cluster/shard_worker.ts";
import { QUEUE_VARIABLE } from "../../../cli/options/queue_options.ts";
import { type RedisServer, testWithRedis } from "../cluster/redis.ts";
import { WorkerProcess } from "../cluster/worker_process.ts";
import { tinyCheckpoints } from "../../sampler/models.ts";
import { run, succeed, testInFolder } from "../run.ts";

const SECRET = "s3cr3t";
/** Pictures of each of the five classes. */
const EACH = 6;

/**
 * A run of a small model, written to a folder. Batches of one, and a hook that waits, leave time to be killed
 * in and take none of the processor.
 */
async function tinySeries(folder: string): Promise<string[]> {
  const files = await tinyCheckpoints();
  await Deno.writeFile(`${folder}/var.safetensors`, files.var);
  await Deno.writeFile(`${folder}/vae.safetensors`, files.vae);
  const wait = "new Promise((resolve) => setTimeout(resolve, 200))";
  await Deno.writeTextFile(
    `${folder}/slow.ts`,
    `export default { name: "slow", scales: [0], guide: () => ${wait} };`,
  );
  return [
    ...["--hook", `${folder}/slow.ts`],
    ...["--var-ckpt", `${folder}/var.safetensors`, "--vae-ckpt", `${folder}/vae.safetensors`, "--no-scaling"],
    ...["--device", "cpu", "--cpu-provider", "wasm", "--threads", "1", "--batch", "1", "-n", String(EACH)],
  ];
}

/** Where the pictures of a folder lie on the disk, by name. */
function pictures(folder: string): Map<string, number | null> {
  try {
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).filter((it) =>
      it.endsWith(".png")
    );
    return new Map(names.sort().map((name) => [name, Deno.statSync(`${folder}/${name}`).ino]));
  } catch {
    return new Map();
  }
}

/** What is in them. */
function bytesIn(folder: string): [name: string, bytes: string][] {
  return [...pictures(folder).keys()].map((name) => [name, Deno.readFileSync(`${folder}/${name}`).toHex()]);
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const late = Date.now() + 240_000;
  while (!holds()) {
    assert(Date.now() < late, `It took too long: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function status({ url }: RedisServer): Promise<Record<string, unknown>> {
  return JSON.parse((await succeed("queue", "status", "--queue", url, "--json")).out);
}

testWithRedis(
  "varscale worker: what is killed on the way, the queue's server too, costs no picture and repeats none",
  async (server, folder) => {
    const output = `${folder}/out`;
    const url = `redis://:${SECRET}@127.0.0.1:${server.port}`;
    const series = await tinySeries(folder);
    await succeed("queue", "add", "--queue", url, "--shards", "4", "--", ...series, "-o", output);
    await using workers = new AsyncDisposableStack();
    const start = () => workers.use(new WorkerProcess(url, ["--until-done", "--lease", "1", "--grace", "0"]));
    const seen = new Map<string, number | null>();
    const more = async (count: number): Promise<void> => {
      await until(() => pictures(output).size >= count, `${count} pictures`);
      for (const [name, place] of pictures(output)) {
        if (seen.has(name)) assertEquals(place, seen.get(name), `${name} was made again`);
        seen.set(name, place);
      }
    };
    const [first, second] = [start(), start()];
    // A worker; the process that computes for it ends by itself.
    await until(() => first.computing !== undefined, "a process that computes");
    await more(3);
    first.kill("SIGKILL");
    const third = start();
    // Whoever computes for a worker, which goes on with another one.
    await more(7);
    await until(() => second.computing !== undefined, "a process that computes");
    Deno.kill(second.computing!, "SIGKILL");
    await more(9);
    await server.restart();
    await more(12);
    // It gives back what it is at, and another one takes it.
    second.kill("SIGTERM");
    assertEquals(await second.ended(), 0, second.text);
    assertStringIncludes(second.text, "ending when the shard at work is made");
    const code = await third.ended();
    const counts = (await succeed("queue", "status", "--queue", url)).out;
    assertEquals([code, counts], [0, "4 shards done, 0 at work, 0 waiting; 0 workers\n"], third.text);
    for (const { text } of [first, second, third]) assert(!text.includes(SECRET), text);
    assertMatch(third.text, /shard \d\/4 of .+\/out: \d+ of \d+ images made in/);
    await more(5 * EACH);
    await succeed("run", ...series, "-o", `${folder}/single`);
    assertEquals(bytesIn(output), bytesIn(`${folder}/single`));
    assertEquals(seen.size, 5 * EACH);
    const left = Array.from(Deno.readDirSync(output), ({ name }) => name);
    assertEquals(left.filter((name) => /\.tmp$|^failed/.test(name)), []);
    assert(!Deno.readTextFileSync(`${output}/run.json`).includes(SECRET));
  },
  ["--requirepass", SECRET],
);

testWithRedis(
  "varscale worker: what no worker can make ends in a list, each with its reason",
  async (server, folder) => {
    const queue = ["--queue", server.url];
    const add = (...args: string[]) => succeed("queue", "add", ...queue, "--shards", "1", "--", ...args);
    await add("--model", `${folder}/nothing`, "-o", `${folder}/a`);
    const { code, err } = await run(["worker", ...queue, "--until-done"]);
    assertEquals(code, 1, err);
    const { failed, failures } = await status(server) as {
      failed: number;
      failures: { output: string; reason: string }[];
    };
    assertEquals([failed, failures[0]!.output], [1, `${folder}/a`]);
    assertStringIncludes(failures[0]!.reason, `${folder}/nothing`);
    assertStringIncludes((await succeed("queue", "status", ...queue)).out, `  1/1 of ${folder}/a: `);
  },
);

testInFolder(
  "ShardWorker: a run of a folder that is not here is refused, unless --from names it",
  async (folder) => {
    const told: string[] = [];
    await using worker = new ShardWorker({ device: [], from: undefined, tell: (line) => told.push(line) });
    const taken = {
      series: { args: [], folder: `${folder}/gone` },
      shard: { part: 1, parts: 2 },
      output: "out",
    };
    const outcome = await worker.make(taken);
    assertEquals(outcome!.kind, "refused");
    assertStringIncludes(told[0]!, `shard 1/2 of out: The folder ${folder}/gone, in which the run was added`);
    await worker.giveBack();
    assertEquals(await worker.make(taken), undefined);
  },
);

testInFolder(
  "ShardChild: what a hook prints is no answer, and relative paths are those of the run",
  async (folder) => {
    // Nor does it get to know where the queue is.
    const says = `console.log(JSON.stringify([...Deno.args, Deno.env.get("${QUEUE_VARIABLE}")]))`;
    const hook = `${says}; export default { name: "loud", guide() {} };`;
    await Deno.writeTextFile(`${folder}/loud.ts`, hook);
    const printed: string[] = [];
    const series = await tinySeries(folder);
    const args = [...series, "--classes", "0", "--hook", "loud.ts", "-o", "out"];
    const opening = { args, folder, device: ["--threads=2"] };
    await using child = ShardChild.start(opening, (line) => printed.push(line));
    assertEquals(await child.make({ part: 1, parts: EACH }), { kind: "done", images: 1, made: 1 });
    assertEquals(await child.make({ part: 1, parts: EACH }), { kind: "done", images: 1, made: 0 });
    assertEquals([printed, pictures(`${folder}/out`).size], [['[""]'], 1]);
    Deno.kill(child.pid, "SIGKILL");
    const { kind, message } = await child.make({ part: 2, parts: EACH }) as { kind: string; message: string };
    assertEquals([kind, message], ["failed", "The process that computes is gone: it ended by SIGKILL"]);
  },
);

Deno.test("linesOf: lines come whole, however their bytes do", async () => {
  const bytes = new TextEncoder().encode(`${ANSWER_MARK}ä\n\nb`);
  const parts = ReadableStream.from([bytes.slice(0, 2), bytes.slice(2, 5), bytes.slice(5)]);
  assertEquals(await Array.fromAsync(linesOf(parts)), [`${ANSWER_MARK}ä`, "", "b"]);
});

Deno.test("varscale worker: what no worker can be is refused", async () => {
  const queue = ["--queue", "redis://127.0.0.1:1"];
  for (
    const [args, why] of [
      [["--queue", "redis://"], "Option --queue must be an address"],
      [[...queue, "out"], 'Unexpected argument "out"'],
      [[...queue, "--lease", "0"], "Option --lease must be a number from 1 to 3600"],
      [[...queue, "--from", "/dev/null"], "choose another --from"],
      [queue, "nobody takes connections there"],
    ] as const
  ) {
    const { code, err } = await run(["worker", ...args]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, why);
  }
});

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { studio } from "../../../cli/commands/studio.ts";
import { Interruption, type Io } from "../../../cli/io.ts";
import { main } from "../../../cli/main.ts";
import { run } from "../run.ts";

Deno.test("studio: the help says what it opens", () => {
  const help = studio.help({ name: "studio", summary: "Open" }).replaceAll(/\s+/g, " ");
  for (const words of ["--port", "--model", "--device", "only this machine can reach it", "ssh -L"]) {
    assertStringIncludes(help, words);
  }
});

Deno.test("studio: a wrong command line is refused", async () => {
  for (
    const [args, words] of [
      [["--port", "0"], 'Option --port must be an integer from 1 to 65535: current value is "0"'],
      [["extra"], 'Unexpected argument "extra"'],
      [["--weights", "ema"], "Option --weights goes with"],
      [["--seed", "1"], "Unknown option --seed"],
    ] as const
  ) {
    const { code, err, out } = await run(["studio", ...args]);
    assertEquals([code, out], [2, ""]);
    assertStringIncludes(err, words);
  }
});

Deno.test("studio: a port that is taken is refused", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { code, err } = await run(["studio", "--port", `${taken.addr.port}`]);
  assertEquals(code, 2);
  assertStringIncludes(err, `Option --port must be a port that is free: current value is ${taken.addr.port}`);
});

Deno.test({
  name: "studio: it prints a link, opens a page on a model that is not there, and ends when it is told to",
  // The thread in which a model was to be loaded ends on its own.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const ending = new AbortController();
    const { promise: printed, resolve } = Promise.withResolvers<string>();
    let err = "";
    const io: Io = {
      out: resolve,
      err: (text) => err += text,
      terminal: false,
      signal: ending.signal,
    };
    const ended = main(["studio", "--model", "/nothing/is/here", "--device", "cpu"], io);
    const link = (await printed).trim();
    const response = await fetch(link);
    const cookie = response.headers.get("set-cookie")!.split(";", 1)[0]!;
    assertEquals([response.status, (await response.text()).includes("varscale studio")], [200, true]);
    const { origin } = new URL(link);
    const events = await fetch(`${origin}/events?session=abcdefgh`, { headers: { cookie } });
    const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes('"state":"failed"')) text += (await reader.read()).value;
    assertStringIncludes(text, "/nothing/is/here");
    ending.abort(new Interruption("SIGINT"));
    assertEquals(await ended, 130);
    assertStringIncludes(err, "the studio is open until Ctrl-C");
    while (!text.includes('"type":"bye"')) {
      const { done, value } = await reader.read();
      assert(!done);
      text += value;
    }
    await reader.cancel();
  },
});

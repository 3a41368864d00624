/**
 * `varscale studio`: a page in the browser to paint with a model and to watch how it does.
 *
 * @module
 */

import { command } from "../command.ts";
import { HostedModel } from "../hosting/hosted_model.ts";
import { type Io, say, UsageError } from "../io.ts";
import { flag, integer } from "../options/kinds.ts";
import { DEVICE_OPTIONS, MODEL_OPTIONS, modelPlace } from "../options/model_options.ts";
import { type Arguments, refuseOperands, section } from "../options/options.ts";
import { StudioServer } from "../studio/server.ts";

const OPTIONS = {
  ...section("Studio", {
    port: {
      kind: integer("N", 1, 65_535),
      help: "Port of 127.0.0.1 on which the page is",
      defaultText: "any that is free",
    },
    open: { kind: flag, help: "Open the link in the browser of this desktop" },
  }),
  ...MODEL_OPTIONS,
  ...DEVICE_OPTIONS,
};

/** The command. */
export const studio = command({
  usage: ["[OPTIONS]"],
  description: [
    "Prints a link to a page on this machine: choose a class or write a prompt, a method and its options, and watch scales, candidates and lanes as they come. " +
    "The link has a token, without which the page does not open; nothing is loaded from elsewhere, and only this machine can reach it. Ctrl-C ends it.",
    "From another machine, forward the port: ssh -L 8000:127.0.0.1:8000 HOST, with --port 8000 there.",
  ],
  options: OPTIONS,
  examples: [
    "",
    "--model demo-t2i",
    "--model hf:jiaosiyu1999/FlexVAR --depth 24 --dtype q8 --port 8000",
  ],
  run,
});

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  refuseOperands(operands, 0);
  const place = modelPlace(options) ?? { folder: "demo" };
  const { port, open: opens } = options;
  await using server = listen(port, (hooks) => HostedModel.open({ place, loading: options }, hooks));
  io.out(`${server.link}\n`);
  if (opens) await openBrowser(server.link);
  say(io, "the studio is open until Ctrl-C");
  await new Promise<never>((_, reject) => {
    const end = (): void => reject(io.signal.reason);
    io.signal.addEventListener("abort", end, { once: true });
    if (io.signal.aborted) end();
  });
}

function listen(
  port: number | undefined,
  open: ConstructorParameters<typeof StudioServer>[0],
): StudioServer {
  try {
    return new StudioServer(open, port === undefined ? {} : { port });
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied)) {
      throw error;
    }
    throw new UsageError(`Option --port must be a port that is free: current value is ${port}`);
  }
}

/** Programs that open a link, by operating system. */
const OPENERS: Readonly<Partial<Record<typeof Deno.build.os, readonly [string, ...string[]]>>> = {
  darwin: ["open"],
  windows: ["rundll32", "url.dll,FileProtocolHandler"],
};

async function openBrowser(link: string): Promise<void> {
  const [program, ...args] = OPENERS[Deno.build.os] ?? ["xdg-open"];
  try {
    const { success } = await new Deno.Command(program, {
      args: [...args, link],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    if (success) return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  throw new UsageError(`Option --open needs ${program}, which opens links: leave it out, and open the link`);
}

/**
 * The options that name a queue, alike in all commands that have one.
 *
 * @module
 */

import type { Kind } from "./kinds.ts";
import { text } from "./kinds.ts";
import { section } from "./options.ts";

/** Where the queue's address is looked for, which command lines would show to others. */
export const QUEUE_VARIABLE = "VARSCALE_QUEUE";

const queueName: Kind<string> = {
  placeholder: "NAME",
  parse: (value) => {
    if (!/^[A-Za-z0-9][\w.-]{0,63}$/.test(value)) {
      throw new RangeError("must be at most 64 letters, digits, dots, dashes and underscores");
    }
    return value;
  },
};

/** Which queue. */
export const QUEUE_OPTIONS = section("Queue", {
  queue: {
    kind: text("URL"),
    help:
      `Redis or Valkey: redis://HOST:PORT/DB, with rediss for TLS, and USER:PASSWORD@ in front of the host; better in the variable ${QUEUE_VARIABLE}, as others can see command lines`,
    defaultText: `that of ${QUEUE_VARIABLE}`,
  },
  name: { kind: queueName, help: "Name of the queue, where a server has several", default: "varscale" },
});

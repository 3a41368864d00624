/**
 * The address of a queue's server. What is shown of it never has the password, nor has a message about an
 * address that is wrong.
 *
 * @module
 */

import { UsageError } from "../io.ts";
import { QUEUE_VARIABLE } from "../options/queue_options.ts";

/** Schemes, and whether each means TLS. */
const SCHEMES: Readonly<Record<string, boolean>> = {
  "redis:": false,
  "rediss:": true,
  "valkey:": false,
  "valkeys:": true,
};
const PORT = 6379;

/** A server, and how it is entered. */
export interface QueueAddress {
  readonly host: string;
  readonly port: number;
  /** Number of the database. */
  readonly db: number;
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** The address for people, without user and password. */
  readonly shown: string;
}

/**
 * Reads the address that the command line gives, or else the environment.
 *
 * @throws {UsageError} If there is none, or it is none of a queue.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const { host, db, shown } = queueAddress("rediss://ada:secret@queue.example:6380/2");
 * assertEquals([host, db, shown], ["queue.example", 2, "rediss://queue.example:6380/2"]);
 * ```
 */
export function queueAddress(given: string | undefined): QueueAddress {
  const text = given ?? addressOfEnvironment();
  if (text === undefined) {
    throw new UsageError(
      `Option --queue or the variable ${QUEUE_VARIABLE} is needed: the address of the queue`,
    );
  }
  const source = given === undefined ? `Variable ${QUEUE_VARIABLE}` : "Option --queue";
  const refuse = (why: string): never => {
    throw new UsageError(
      `${source} must be an address like "redis://host:6379/0": ${why}; it is not shown, as it may have a password`,
    );
  };
  const url = URL.parse(text);
  const tls = SCHEMES[url?.protocol ?? ""];
  if (url === null || tls === undefined) {
    return refuse("it must begin with redis://, rediss://, valkey:// or valkeys://, and be an address");
  }
  if (url.hostname === "") return refuse("it has no host");
  if (url.search !== "" || url.hash !== "") return refuse("it has something behind the database");
  const [, db] = /^\/?(\d{0,5})$/.exec(url.pathname) ?? [];
  if (db === undefined) return refuse("the database must be a number");
  const [username, password] = [url.username, url.password].map((part) => {
    try {
      return part === "" ? undefined : decodeURIComponent(part);
    } catch {
      return refuse("a percent sign in its user or password must be written as %25");
    }
  });
  // A password without a user is that of the default user, as in servers before there were users.
  const port = url.port === "" ? PORT : Number(url.port);
  return {
    ...{ host: url.hostname.replace(/^\[|\]$/g, ""), port, db: Number(db), tls, username, password },
    shown: `${url.protocol}//${url.hostname}:${port}/${Number(db)}`,
  };
}

/** The address that the environment gives, where it may be read. */
function addressOfEnvironment(): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: QUEUE_VARIABLE });
  return state === "granted" ? Deno.env.get(QUEUE_VARIABLE) || undefined : undefined;
}

/**
 * A connection to Redis or Valkey: what cannot be reached is told within seconds, and what was reached once
 * is waited for, without haste, when it is gone.
 *
 * @module
 */

import { Redis } from "npm:ioredis@6.0.0";
import { UsageError } from "../io.ts";
import type { QueueAddress } from "./queue_address.ts";

/** Milliseconds for the first answer. */
const FIRST_ANSWER = 8000;
/** Milliseconds between two attempts to reach a server again. */
const AGAIN = 1000;
/** The first version with all commands that the queue needs. */
const LEAST_VERSION = [6, 2] as const;

/** A connection that is there. */
export interface RedisConnection {
  readonly client: Redis;
  /** What a person should know of the server. */
  readonly warnings: readonly string[];
}

/**
 * Connects, and looks whether the server can carry a queue.
 *
 * @throws {UsageError} If nothing can be reached there, it lets nobody in with this password, or it is too
 * old.
 */
export async function connectRedis(address: QueueAddress, signal: AbortSignal): Promise<RedisConnection> {
  const { host, port, db, tls, username, password, shown } = address;
  let reached = false;
  let failure: Error | undefined;
  const client = new Redis({
    ...{ host, port, db, lazyConnect: true, connectTimeout: FIRST_ANSWER },
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: { servername: host } } : {}),
    // What is under way waits for the server to come back.
    maxRetriesPerRequest: null,
    retryStrategy: () => reached ? AGAIN : null,
  });
  client.on("error", (error: Error) => failure = error);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("it does not answer")), FIRST_ANSWER);
  const end = (): void => reject(signal.reason);
  signal.addEventListener("abort", end);
  try {
    if (signal.aborted) end();
    const info = await Promise.race([client.connect().then(() => client.info()), late]);
    // A database that is not there is told by the way; the client would go on in another one.
    if (failure !== undefined) throw failure;
    const warnings = warningsOf(info);
    reached = true;
    return { client, warnings };
  } catch (error) {
    client.disconnect();
    signal.throwIfAborted();
    if (error instanceof UsageError) {
      throw new UsageError(`Cannot use the queue at ${shown}: ${error.message}`);
    }
    throw new UsageError(`Cannot reach the queue at ${shown}: ${reasonOf(failure ?? error as Error)}`);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

/**
 * What speaks against a server.
 *
 * @param info What it says of itself.
 * @throws {UsageError} If it cannot carry a queue.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(warningsOf("redis_version:7.0.15\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n"), []);
 * ```
 */
export function warningsOf(info: string): string[] {
  const facts = new Map(
    info.split(/\r?\n/).map((line) => {
      const [name = "", ...value] = line.split(":");
      return [name, value.join(":")] as const;
    }),
  );
  const version = facts.get("redis_version") ?? "";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [least, dot] = LEAST_VERSION;
  if (!(major > least || major === least && minor >= dot)) {
    throw new UsageError(
      `the version of Redis must be at least ${least}.${dot}: current value is "${version}"`,
    );
  }
  const policy = facts.get("maxmemory_policy") ?? "noeviction";
  return policy === "noeviction" || facts.get("maxmemory") === "0" ? [] : [
    `the queue's server drops what it keeps when its memory is full; set its maxmemory-policy to noeviction instead of ${policy}`,
  ];
}

/** Why a server was not reached. What it is asked with, the password among it, is in no message. */
function reasonOf(error: Error): string {
  const { message, code } = error as Error & { readonly code?: string };
  if (/^(WRONGPASS|ERR AUTH|ERR invalid password|ERR Client sent AUTH)/i.test(message)) {
    return "it refuses this user and password";
  }
  if (/^NOAUTH/.test(message)) {
    return "it wants a password; write redis://:PASSWORD@HOST or redis://USER:PASSWORD@HOST";
  }
  if (/^NOPERM/.test(message)) return `this user may not do what the queue needs: ${message}`;
  if (code === "ECONNREFUSED") return "nobody takes connections there";
  if (code === "ENOTFOUND") return "there is no such host";
  return message || code || "it ended the connection";
}

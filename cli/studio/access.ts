/**
 * Who may talk to the studio: whoever has the link, from this machine, in a page of the studio's own. What is
 * answered is left to `server.ts`.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";

/** Headers of every answer. */
export const HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** What to make of a request. */
export type Verdict =
  /** It may be answered; with the cookie, if it is the link's own. */
  | { readonly allowed: true; readonly cookie?: string }
  | { readonly allowed: false; readonly status: number; readonly reason: string };

/** The rules for one port. */
export class Access {
  /** What the link has. */
  readonly token: string = secret();
  /** What the browser keeps instead of it. */
  readonly #session: string = secret();
  readonly #port: number;

  /** @param port Where the studio listens. */
  constructor(port: number) {
    this.#port = port;
  }

  /** The address that a person opens. */
  get link(): string {
    return `http://127.0.0.1:${this.#port}/?token=${this.token}`;
  }

  /**
   * Judges a request by its headers and address.
   *
   * A name that leads here by a DNS server of somebody else is refused by its `Host`; a page of another site
   * by `Origin` and `Sec-Fetch-Site`, and it would have no cookie; a program of another user of this machine
   * by the token.
   */
  judge(request: Request): Verdict {
    const { headers, method } = request;
    const host = headers.get("host") ?? "";
    if (![`127.0.0.1:${this.#port}`, `localhost:${this.#port}`].includes(host)) {
      return refused(421, "The studio answers to its own address only");
    }
    const origin = headers.get("origin");
    if (origin !== null && origin !== `http://${host}`) {
      return refused(403, "The studio answers to its own page only");
    }
    const { pathname, searchParams } = new URL(request.url);
    const isLink = method === "GET" && pathname === "/" && searchParams.has("token");
    const site = headers.get("sec-fetch-site") ?? "none";
    // A link may be clicked wherever it stands, in the page of a terminal, say.
    const isVisit = isLink && headers.get("sec-fetch-mode") === "navigate";
    if (!["same-origin", "none"].includes(site) && !isVisit) {
      return refused(403, "The studio answers to its own page only");
    }
    if (isLink) {
      return same(searchParams.get("token")!, this.token)
        ? { allowed: true, cookie: this.#cookie }
        : refused(403, "This link is not the one that varscale studio has printed");
    }
    const [, bearer] = /^Bearer (.+)$/.exec(headers.get("authorization") ?? "") ?? [];
    if (bearer !== undefined && same(bearer, this.token)) return { allowed: true };
    const cookie = cookiesOf(headers.get("cookie") ?? "").get(this.#name);
    if (cookie !== undefined && same(cookie, this.#session)) return { allowed: true };
    return refused(403, "Open the link that varscale studio has printed");
  }

  /** Cookies know no ports, so that the name has it: another studio has its own. */
  get #name(): string {
    return `varscale-studio-${this.#port}`;
  }

  get #cookie(): string {
    return `${this.#name}=${this.#session}; Path=/; HttpOnly; SameSite=Strict`;
  }
}

/** 256 random bits as a text that addresses and cookies take. */
function secret(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toHex();
}

/** Whether two texts are the same, in a time that tells nothing about either. */
function same(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(x!, y!);
}

function refused(status: number, reason: string): Verdict {
  return { allowed: false, status, reason };
}

function cookiesOf(header: string): Map<string, string> {
  const pairs = header.split(";").map((pair): [string, string] => {
    const [name = "", ...value] = pair.trim().split("=");
    return [name, value.join("=")];
  });
  return new Map(pairs);
}

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Access, HEADERS, type Verdict } from "../../../cli/studio/access.ts";

const PORT = 8123;

/** What is made of a request for `path`, by somebody who sends these headers. */
function judge(access: Access, path: string, headers: Record<string, string> = {}, method = "GET"): Verdict {
  const all = { host: `127.0.0.1:${PORT}`, ...headers };
  return access.judge(new Request(`http://127.0.0.1:${PORT}${path}`, { method, headers: all }));
}

function statusOf(verdict: Verdict): number {
  return verdict.allowed ? 200 : verdict.status;
}

/** The cookie that the link is exchanged for, as a browser sends it. */
function cookieOf(access: Access): string {
  return grantedTo(access).split(";", 1)[0]!;
}

/** The cookie that the link gets, with all that is said about it. */
function grantedTo(access: Access): string {
  const verdict = judge(access, `/?token=${access.token}`);
  if (!verdict.allowed) throw new Error(verdict.reason);
  return verdict.cookie!;
}

Deno.test("Access: the link is let in and gets a cookie that scripts and other sites do not", () => {
  const access = new Access(PORT);
  assertMatch(access.link, /^http:\/\/127\.0\.0\.1:8123\/\?token=[0-9a-f]{64}$/);
  const cookie = grantedTo(access);
  assertMatch(cookie, /^varscale-studio-8123=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict$/);
  assert(!cookie.includes(access.token));
});

Deno.test("Access: nothing is answered without the cookie or the token", () => {
  const access = new Access(PORT);
  const cookie = cookieOf(access);
  for (const path of ["/", "/app.js", "/events?session=abcdefgh", `/jobs?token=${access.token}`]) {
    assertEquals(statusOf(judge(access, path)), 403, path);
    assertEquals(statusOf(judge(access, path, { cookie })), 200, path);
    assertEquals(statusOf(judge(access, path, { cookie: `a=b; ${cookie}; c=d` })), 200, path);
    assertEquals(statusOf(judge(access, path, { authorization: `Bearer ${access.token}` })), 200, path);
  }
  const wrong = cookie.slice(0, -1) + (cookie.endsWith("0") ? "1" : "0");
  assertEquals(statusOf(judge(access, "/", { cookie: wrong })), 403);
  assertEquals(statusOf(judge(access, "/", { cookie: cookie.slice(0, -1) })), 403);
  assertEquals(statusOf(judge(access, "/", { authorization: `Bearer ${access.token}0` })), 403);
  assertEquals(statusOf(judge(access, `/?token=${access.token.slice(1)}`)), 403);
  assertEquals(statusOf(judge(access, "/?token=", { cookie })), 403);
});

Deno.test("Access: a link is for its own studio", () => {
  const [one, other] = [new Access(PORT), new Access(PORT)];
  assert(one.token !== other.token);
  assertEquals(statusOf(judge(one, `/?token=${other.token}`)), 403);
  assertEquals(statusOf(judge(one, "/", { cookie: cookieOf(other) })), 403);
});

Deno.test("Access: names of others that lead here are refused, whatever they know", () => {
  const access = new Access(PORT);
  const cookie = cookieOf(access);
  assertEquals(statusOf(judge(access, "/", { cookie, host: `localhost:${PORT}` })), 200);
  for (const host of ["example.com", `example.com:${PORT}`, "127.0.0.1", `127.0.0.1:${PORT + 1}`, ""]) {
    assertEquals(statusOf(judge(access, "/", { cookie, host })), 421, host);
    assertEquals(statusOf(judge(access, `/?token=${access.token}`, { host })), 421, host);
  }
});

Deno.test("Access: pages of other sites are refused, a link that is clicked there is not", () => {
  const access = new Access(PORT);
  const cookie = cookieOf(access);
  const own = `http://127.0.0.1:${PORT}`;
  assertEquals(statusOf(judge(access, "/jobs", { cookie, origin: own }, "POST")), 200);
  for (
    const origin of ["http://example.com", "null", `http://localhost:${PORT}`, `https://127.0.0.1:${PORT}`]
  ) {
    assertEquals(statusOf(judge(access, "/jobs", { cookie, origin }, "POST")), 403, origin);
    assertEquals(statusOf(judge(access, "/events", { cookie, origin })), 403, origin);
  }
  for (const site of ["cross-site", "same-site"]) {
    assertEquals(statusOf(judge(access, "/pictures/1.png", { cookie, "sec-fetch-site": site })), 403, site);
    const visit = { "sec-fetch-site": site, "sec-fetch-mode": "navigate" };
    assertEquals(statusOf(judge(access, `/?token=${access.token}`, visit)), 200, site);
    assertEquals(statusOf(judge(access, "/", { cookie, ...visit })), 403, site);
  }
  for (const site of ["same-origin", "none"]) {
    assertEquals(statusOf(judge(access, "/pictures/1.png", { cookie, "sec-fetch-site": site })), 200, site);
  }
});

Deno.test("HEADERS: the page may run its own scripts and nothing else", () => {
  const policy = new Map(
    HEADERS["content-security-policy"]!.split("; ").map((rule): [string, string] => {
      const [name, ...values] = rule.split(" ");
      return [name!, values.join(" ")];
    }),
  );
  assertEquals(policy.get("default-src"), "'none'");
  assertEquals(policy.get("script-src"), "'self'");
  assertEquals(policy.get("frame-ancestors"), "'none'");
  assert(!HEADERS["content-security-policy"]!.includes("unsafe"));
  assertEquals(HEADERS["cache-control"], "no-store");
  assertEquals(HEADERS["x-content-type-options"], "nosniff");
  assert(!Object.keys(HEADERS).some((name) => name.startsWith("access-control")));
});

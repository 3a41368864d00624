/**
 * Serves the project's files as any static file server does: `deno task serve` offers them on port 8000, and
 * the tests import by URL from here.
 *
 * @module
 */

const root = new URL("../", import.meta.url);

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ts: "application/typescript",
  json: "application/json",
  wgsl: "text/plain",
};

/** Answers one request with a file of the project. */
export async function serveFile(request: Request): Promise<Response> {
  const path = decodeURIComponent(new URL(request.url).pathname).slice(1);
  const type = CONTENT_TYPES[path.split(".").at(-1)!] ?? "application/octet-stream";
  try {
    return new Response(await Deno.readFile(new URL(path, root)), { headers: { "content-type": type } });
  } catch {
    return new Response(`No file ${path}`, { status: 404 });
  }
}

export default { fetch: serveFile } satisfies Deno.ServeDefaultExport;

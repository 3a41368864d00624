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

/** Answers one request with a file of the project, and of nothing else on this machine. */
export async function serveFile(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const file = fileOf(pathname);
  const type = CONTENT_TYPES[pathname.split(".").at(-1)!] ?? "application/octet-stream";
  try {
    if (file !== undefined) {
      return new Response(await Deno.readFile(file), { headers: { "content-type": type } });
    }
  } catch {
    // Answered below, like what may not be asked for.
  }
  return new Response(`No file ${pathname}`, { status: 404 });
}

/** The file that a path names, if it lies in the project. */
function fileOf(pathname: string): URL | undefined {
  try {
    // Escaped slashes and dots name folders only once they are decoded.
    const file = new URL(`./${decodeURIComponent(pathname)}`, root);
    return file.href.startsWith(root.href) ? file : undefined;
  } catch {
    return undefined;
  }
}

export default { fetch: serveFile } satisfies Deno.ServeDefaultExport;

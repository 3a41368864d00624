/**
 * The version of varscale, from the one place where it is written down.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

/** Version of varscale. */
export const VERSION: string = config.version;

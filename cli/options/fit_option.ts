/**
 * How a picture that is given comes to the size of a model's pictures.
 *
 * @module
 */

import { FITS } from "../../mod.ts";
import { choice } from "./kinds.ts";

/** How a picture comes to a model's size: an option of all commands that take one. */
export const FIT_OPTION = {
  kind: choice(FITS),
  help:
    "A picture of another size than the model's is resized to a little more and its middle cropped, resized to just cover it, or refused",
  defaultText: "crop",
};

/**
 * What a third family costs: a folder of its own and one line in `families.ts`, or one call of
 * `registerFamily`. Counted in what the program imports, and shown with a family that is registered here.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { convertModel, createModelFolder, FAMILIES, generate, loadModel, registerFamily } from "../../mod.ts";
import { openCheckpoint } from "../../models/checkpoint/mod.ts";
import { DEMO_MODEL } from "../../models/load.ts";
import { literalsOf } from "../house/literals.ts";
import { inFolder } from "../models/folder/small_folder.ts";
import { checkpoint } from "./checkpoint.ts";
import { BITS, MOSAIC } from "./mosaic.ts";

const ROOT = new URL("../../", import.meta.url);

/** Rooms that families share, which nobody else may know: the class-conditional line and its networks. */
const SHARED_ROOMS = ["class_conditional", "autoencoder"];
/** What they share in the hall: how a model with such networks is loaded, what it takes, what it does. */
const SHARED_FILES = ["loading", "costs", "loaded_model"].map((stem) => `models/${stem}.ts`);
/** The face of models, and what it offers of families and of what they share. */
const FACE = "models/mod.ts";
const OFFERED = ["IMAGENET_CLASSES"];

/** A module of the program with the modules that it imports, by path from the root. */
interface Imports {
  readonly file: string;
  readonly imports: readonly string[];
}

/** All that the command line, and so the face, is made of. */
async function program(): Promise<Imports[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "cli/main.ts"],
    cwd: ROOT,
    stderr: "inherit",
  }).output();
  const path = (specifier: string): string => relative(fileURLToPath(ROOT), fileURLToPath(specifier));
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    readonly modules: readonly {
      readonly specifier: string;
      readonly dependencies?: readonly Record<"code" | "type", { readonly specifier: string } | undefined>[];
    }[];
  };
  return modules.filter(({ specifier }) => specifier.startsWith("file:")).map(
    ({ specifier, dependencies = [] }) => {
      const found = dependencies.flatMap(({ code, type }) => (code ?? type)?.specifier ?? []);
      return {
        file: path(specifier),
        imports: found.filter((name) => name.startsWith("file:")).map(path),
      };
    },
  );
}

/** The room of models that a file lies in; none for the hall. */
function roomOf(file: string): string | undefined {
  return /^models\/(\w+)\//.exec(file)?.[1];
}

/** Whether a file is of what families share. */
function isShared(file: string): boolean {
  return SHARED_ROOMS.includes(roomOf(file)!) || SHARED_FILES.includes(file);
}

/** Whether a file is of a family, or of what families share. */
function isOfFamily(file: string): boolean {
  return FAMILIES.some(({ name }) => name === roomOf(file)) || isShared(file);
}

/** The names that a module in the hall imports or hands on from the rooms of families. */
function takenFromFamilies(source: string): string[] {
  return [...source.matchAll(/^(?:import|export) (?:type )?\{([^}]*)\} from "\.\/(.*)";/gm)].flatMap((
    [, names, file],
  ) => isOfFamily(`models/${file}`) ? names!.split(",").map((name) => name.trim()).filter(Boolean) : []);
}

/** Texts of a module that are the name of a family, or that tell the names of its blocks' tensors. */
function familyTexts(source: string): string[] {
  return literalsOf(source).filter((text) =>
    FAMILIES.some(({ name }) => name === text) || /\bblocks\\?\./.test(text)
  );
}

Deno.test("FAMILIES: only families.ts names a family, one import each", async () => {
  const modules = await program();
  const families = modules.flatMap(({ file }) => /^models\/(\w+)\/family\.ts$/.exec(file)?.[1] ?? []).sort();
  assertEquals(families, FAMILIES.map(({ name }) => name).sort());
  const naming = modules.flatMap(({ file, imports }) => {
    const named = imports.filter((path) => families.includes(roomOf(path)!) && roomOf(path) !== roomOf(file));
    return named.map((path) => `${file} → ${path}`);
  });
  assertEquals(
    naming.filter((line) => !line.startsWith(`${FACE} →`)).sort(),
    families.map((name) => `models/families.ts → models/${name}/family.ts`),
  );
});

Deno.test("FAMILIES: what two families share is known to them alone", async () => {
  const modules = await program();
  const files = modules.map(({ file }) => file);
  assertEquals(SHARED_FILES.filter((file) => !files.includes(file)), []);
  for (const { file, imports } of modules) {
    if (file === FACE || isOfFamily(file)) continue;
    assertEquals(imports.filter(isShared), [], file);
  }
});

Deno.test("FAMILIES: the face of models offers of them what is listed", async () => {
  const face = await Deno.readTextFile(new URL(FACE, ROOT));
  assertEquals(takenFromFamilies(face).filter((name) => !OFFERED.includes(name)), []);
  assertEquals(
    takenFromFamilies(
      'export { alphaPreset, VarModel } from "./var/model.ts";\nexport { loadModel } from "./load.ts";\n' +
        'import {\n  type Transformer,\n} from "./class_conditional/transformer.ts";\n',
    ),
    ["alphaPreset", "VarModel", "type Transformer"],
  );
});

Deno.test("FAMILIES: no text outside of a family's folder is its name or that of its blocks", async () => {
  for (const { file } of await program()) {
    if (!file.endsWith(".ts") || isOfFamily(file)) continue;
    const texts = familyTexts(await Deno.readTextFile(new URL(file, ROOT)));
    // Networks that look at pictures have blocks of their own.
    const others = file.startsWith("models/vision/") ? /blocks/ : /(?!)/;
    assertEquals(texts.filter((text) => !others.test(text)), [], file);
  }
  assertEquals(
    familyTexts(
      'if (family === "var") read(`blocks.${i}.weight`, /^blocks\\.\\d+/); // "flexvar"\n' +
        'const variable = "variable"; blocks.packed.fill(0, "blocks of 32");',
    ),
    ["var", "blocks.", "/^blocks\\.\\d+/"],
  );
});

Deno.test("openCheckpoint: no tensor of a family is known by name outside of its folder and what it shares", async () => {
  const names = new Set<string>();
  for (const part of ["transformer", "tokenizer"]) {
    using weights = await openCheckpoint(new URL(`${part}.safetensors`, DEMO_MODEL));
    // Words like "head" and "decoder" are anybody's.
    for (const word of [...weights.tensors.keys()].flatMap((name) => name.split("."))) {
      if (word.includes("_")) names.add(word);
    }
  }
  assert(names.has("pos_1LC") && names.has("ada_lin"));
  for (const { file } of await program()) {
    if (isOfFamily(file)) continue;
    const text = await Deno.readTextFile(new URL(file, ROOT));
    const code = text.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
    // A BERT's "word_embeddings" is another word.
    const isIn = (name: string): boolean => new RegExp(`${name}(?![a-z])`).test(code);
    assertEquals([...names].filter(isIn), [], file);
  }
});

Deno.test("registerFamily: one call of registerFamily, and a family is loaded, converted and painted with", () =>
  inFolder(async (path) => {
    const source = {
      net: await checkpoint("colors.weight", [3, BITS], 12.9898),
      text: await checkpoint("letters.weight", [128, BITS], 78.233),
    };
    await assertRejects(() => loadModel(source, { device: "cpu" }), TypeError, "source must be");
    registerFamily(MOSAIC);
    const paint = async (place: typeof source | string): Promise<Uint32Array[]> => {
      await using model = await loadModel(place, { device: "cpu" });
      assertEquals(model.family, "mosaic");
      const { images: [image] } = await generate(model, { labels: "a cat", seed: 1 });
      return [...image!.tokens];
    };
    {
      await using writer = await createModelFolder(`${path}/mosaic`);
      assertEquals((await convertModel(source, writer)).manifest.family, "mosaic");
    }
    assertEquals(await paint(`${path}/mosaic`), await paint(source));
  }));

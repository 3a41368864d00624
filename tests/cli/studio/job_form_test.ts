import { assertEquals, assertThrows } from "@std/assert";
import { partTitle, readForm } from "../../../cli/studio/job_form.ts";
import { methodForms, optionSections, STUDIO_OPTIONS } from "../../../cli/studio/option_forms.ts";
import { UsageError } from "../../../cli/io.ts";

/** What is wrong with a form. */
function problemOf(form: unknown): string {
  return assertThrows(() => readForm(form), UsageError).message;
}

Deno.test("readForm: options are those of the command line, and previews come of every scale", () => {
  const { parts, title } = readForm({
    labels: ["red torus"],
    options: {
      seed: "7",
      cfg: "2.5",
      method: "tts-var",
      sizes: "4,2,1",
      moreSmooth: true,
      standardize: false,
    },
  });
  assertEquals(title, "red torus · TTS-VAR · seed 7");
  assertEquals(parts.map(({ name }) => name), ["tts-var"]);
  const { seed, cfg, method, sizes, moreSmooth, standardize, preview, count, topK } = parts[0]!.options;
  assertEquals({ seed, cfg, method, sizes, moreSmooth, standardize, preview, count, topK }, {
    ...{ seed: 7, cfg: 2.5, method: ["tts-var"], sizes: [4, 2, 1], moreSmooth: true, standardize: false },
    ...{ preview: true, count: 1, topK: undefined },
  });
});

Deno.test("readForm: beside plain, the same is asked for without a search", () => {
  const { parts } = readForm({
    labels: [],
    options: { method: "best-of-n,var-scaling", attempts: "3", samples: "20", seed: "5", topK: "100" },
    compare: true,
  });
  assertEquals(parts.map(({ name }) => name), ["plain", "var-scaling+best-of-n"]);
  const [plain, searched] = parts.map(({ options }) => {
    const { method, attempts, samples, seed, topK } = options;
    return { method, attempts, samples, seed, topK };
  });
  assertEquals(plain, { method: [], attempts: undefined, samples: undefined, seed: 5, topK: 100 });
  assertEquals(searched, {
    method: ["var-scaling", "best-of-n"],
    attempts: 3,
    samples: 20,
    seed: 5,
    topK: 100,
  });
});

Deno.test("readForm: what is wrong is said as on the command line", () => {
  const form = { labels: ["red torus"], options: {} };
  assertEquals(
    problemOf({ ...form, options: { cfg: "much" } }).startsWith("Option --cfg must be a number"),
    true,
  );
  assertEquals(
    problemOf({ ...form, options: { method: "none", attempts: "3" } }),
    "Option --attempts is one of Best-of-N: add best-of-n to --method",
  );
  assertEquals(
    problemOf({ ...form, options: { count: "17" } }),
    "Option --count must be for at most 16 pictures: current number is 17; varscale run makes more",
  );
  assertEquals(
    problemOf({ labels: ["a", "b"], options: { count: "9" } }),
    "Option --count must be for at most 16 pictures: current number is 18; varscale run makes more",
  );
  assertEquals(problemOf({ ...form, compare: true }), "A comparison with plain pictures needs a method");
  // A switch takes no value, and what takes one needs it.
  assertEquals(
    problemOf({ ...form, options: { moreSmooth: "yes" } }),
    'Option --more-smooth takes no value: current value is "yes"',
  );
  assertEquals(problemOf({ ...form, options: { cfg: true } }), "Option --cfg needs a value: --cfg X|X,…");
});

Deno.test("readForm: what could name files, models or outputs of this machine is no option of a page", () => {
  for (
    const name of ["output", "overwrite", "model", "varCkpt", "tree", "device", "threads", "__proto__", "x"]
  ) {
    const options = JSON.parse(`{"${name}": "x"}`);
    assertEquals(problemOf({ labels: [], options }), `The studio has no option "${name}"`);
  }
});

Deno.test("readForm: what is no form is refused", () => {
  const long = "a".repeat(5000);
  const cases: [unknown, string][] = [
    [null, "The form must be an object"],
    [[], "The form must be an object"],
    [{ labels: [], options: {}, place: 1 }, "The form must not have place"],
    [{ labels: "a", options: {} }, "The labels must be texts of 1 to 4096 characters"],
    [{ labels: [" "], options: {} }, "The labels must be texts of 1 to 4096 characters"],
    [{ labels: [long], options: {} }, "The labels must be texts of 1 to 4096 characters"],
    [{ labels: Array(17).fill("a"), options: {} }, "There must be at most 16 labels: current number is 17"],
    [{ labels: [], options: [] }, "The options must be an object"],
    [{ labels: [], options: { cfg: 1 } }, "Option --cfg must be a text, or true or false"],
    [{ labels: [], options: { cfg: long } }, "Option --cfg must be a text, or true or false"],
    [{ labels: [], options: {}, compare: 1 }, "Whether to compare must be true or false"],
    [
      { labels: [], options: {}, edit: {} },
      "An edit must have the addresses of a picture and a mask, and a mode",
    ],
  ];
  for (const [form, problem] of cases) assertEquals(problemOf(form), problem);
});

Deno.test("partTitle: names what was done", () => {
  assertEquals(["plain", "var-scaling+tts-var"].map(partTitle), ["Plain", "VAR-Scaling + TTS-VAR"]);
});

Deno.test("optionSections: has every option of drawing and searching, and those of the model alone", () => {
  const names = optionSections([]).flatMap(({ options }) => options.map(({ name }) => name));
  for (const name of ["seed", "count", "cfg", "topK", "sizes", "attempts", "beams", "samples", "verifier"]) {
    assertEquals(names.includes(name), true, name);
  }
  // The page has controls of its own for these; sizes of pictures are not for every model.
  for (const name of ["method", "scaling", "size", "patchNumbers"]) {
    assertEquals(names.includes(name), false, name);
  }
  const flexible = optionSections(["size"]).flatMap(({ options }) => options.map(({ name }) => name));
  assertEquals(flexible.filter((name) => !names.includes(name)), ["size"]);
});

Deno.test("optionSections: defaults are the model's where it has some, and help is that of the table", () => {
  const options = optionSections([], { cfg: 4, topK: 900 }).flatMap((section) => section.options);
  const cfg = options.find(({ name }) => name === "cfg")!;
  assertEquals([cfg.default, cfg.flag, cfg.field], ["4", "--cfg", "text"]);
  assertEquals(cfg.help, STUDIO_OPTIONS.cfg!.help);
  const kinds = ["moreSmooth", "standardize", "strategy"].map((name) => {
    return options.find((option) => option.name === name)!.field;
  });
  assertEquals(kinds, ["switch", "toggle", "choice"]);
});

Deno.test("methodForms: every method has the sections whose options it takes", () => {
  const titles = optionSections([]).map(({ title }) => title);
  const methods = methodForms();
  assertEquals(methods.map(({ name }) => name), [
    ...["none", "adaptive-guidance", "prefix-guidance", "spatial-guidance"],
    ...["var-scaling", "tts-var", "best-of-n", "beam"],
  ]);
  for (const { name, sections } of methods.slice(1)) {
    assertEquals(sections.length, ["tts-var", "best-of-n", "beam"].includes(name) ? 2 : 1, name);
    for (const section of sections) assertEquals(titles.includes(section), true, section);
  }
});

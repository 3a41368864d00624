/**
 * The style of this project as rules of `deno lint`, where no rule of Deno's own says it. What needs more
 * than one file at a time (who imports whom, what is documented) is left to `tests/house_test.ts`.
 *
 * It stands in `tools/`, the folder for what works on the project itself: nothing that a user imports may
 * reach it, and `deno.json` names it by its path.
 *
 * @module
 */

/** `fmt.lineWidth` of deno.json, which the formatter keeps for code but not for comments. */
const LINE_WIDTH = 110;

/** What a test may be about when it is about no single symbol: the whole program, seen from outside. */
export const STORIES: readonly string[] = [
  "varscale", // the command line
  "import", // the modules by their addresses
  "published", // numbers of the published implementations
  "shaders", // what holds for all of them, whatever they compute
  "page", // the kernels in a browser
  "native", // onnxruntime-node, in processes of its own
  "bad input", // what a person gets wrong, over the whole face
  "house", // the rules of the tree
];

/** Functions that register a test. */
const REGISTERS_TEST = /^(Deno\.test(\.(ignore|only))?|test[A-Z]\w*)$/;

/** The project's rules, named `varscale/…`. */
const plugin: Deno.lint.Plugin = {
  name: "varscale",
  rules: {
    "upper-case-constants": {
      create: (context) => ({
        Program(node) {
          for (const { id, init } of node.body.flatMap(constants)) {
            if (id.type !== "Identifier" || !isPrimitive(init) || /^[A-Z][A-Z0-9_]*$/.test(id.name)) continue;
            context.report({
              node: id,
              message: `The constant ${id.name} of the module is not written in upper case`,
              hint: `Call it ${upperCase(id.name)}`,
            });
          }
        },
      }),
    },
    "no-parameter-properties": {
      create: (context) => ({
        TSParameterProperty(node) {
          context.report({
            node,
            message: "A parameter of the constructor declares a field",
            hint: "Declare the field in the class, with its documentation, and assign it in the constructor",
          });
        },
      }),
    },
    "no-export-all": {
      create: (context) => ({
        ExportAllDeclaration(node) {
          context.report({
            node,
            message: "The module promises whatever another one exports",
            hint: "List the names, so that each is a decision: export { a, type B } from …",
          });
        },
      }),
    },
    "comment-width": {
      create: (context) => ({
        Program() {
          const { text } = context.sourceCode;
          for (const comment of context.sourceCode.getAllComments()) {
            for (const range of wideLines(text, comment.range)) {
              context.report({
                range,
                message: `A comment ends beyond column ${LINE_WIDTH}`,
                hint: "Wrap it; the formatter leaves comments as they are",
              });
            }
          }
        },
      }),
    },
    "test-titles": {
      create(context) {
        const subjects = [...STORIES];
        return {
          ImportDeclaration(node) {
            // Tests are about what they assert, never about the assertions.
            if (node.source.value.startsWith("@std/")) return;
            for (const { local } of node.specifiers) subjects.push(local.name);
          },
          CallExpression(node) {
            if (!REGISTERS_TEST.test(context.sourceCode.getText(node.callee))) return;
            const title = titleOf(node.arguments);
            if (title === undefined) return;
            const text = textOf(title);
            if (subjects.some((it) => text.startsWith(it) && /^\W+[\w$]/.test(text.slice(it.length)))) return;
            context.report({
              node: title,
              message: "The title of the test does not say what it is about",
              hint:
                "Begin it with a name that the file imports, as in “topK: keeps ties by the lower index”, " +
                `or with one of ${STORIES.join(", ")}, and say what holds`,
            });
          },
        };
      },
    },
  },
};

export default plugin;

/** What a statement declares as constant, exported or not. */
function constants(statement: Deno.lint.Statement): Deno.lint.VariableDeclarator[] {
  const declaration = statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
  if (declaration?.type !== "VariableDeclaration" || declaration.kind !== "const") return [];
  return declaration.declarations;
}

/** Whether a value is a primitive that the source spells out, such as `7`, `-1`, `1 << 20` or `"a"`. */
function isPrimitive(node: Deno.lint.Expression | null | undefined): boolean {
  switch (node?.type) {
    case "Literal":
      return !node.raw.startsWith("/");
    case "TemplateLiteral":
      return node.expressions.length === 0;
    case "UnaryExpression":
      return isPrimitive(node.argument);
    case "BinaryExpression":
      return node.left.type !== "PrivateIdentifier" && isPrimitive(node.left) && isPrimitive(node.right);
    case "TSAsExpression":
    case "TSSatisfiesExpression":
      return isPrimitive(node.expression);
    default:
      return false;
  }
}

/** `maxOpcodes` as `MAX_OPCODES`. */
function upperCase(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase();
}

/** The parts beyond the width of the lines that a comment touches, save addresses too long for any line. */
function* wideLines(text: string, [start, end]: Deno.lint.Range): Generator<Deno.lint.Range> {
  let from = text.lastIndexOf("\n", start - 1) + 1;
  while (from < end) {
    const newline = text.indexOf("\n", from);
    const to = newline < 0 ? text.length : newline;
    const line = text.slice(from, to);
    const [margin] = /^[\s/*]*/.exec(line)!;
    const [address = ""] = /https?:\/\/\S+/.exec(line) ?? [];
    if ([...line].length > LINE_WIDTH && margin.length + address.length <= LINE_WIDTH) {
      yield [from + LINE_WIDTH, to];
    }
    from = to + 1;
  }
}

type Title = Deno.lint.StringLiteral | Deno.lint.TemplateLiteral | Deno.lint.Identifier;

/**
 * The title that a call gives a test: `name` of a definition, or the last text that it passes, as a helper of
 * ours may take the name of a model before it, or else the name of a function. None if it is computed.
 */
function titleOf(given: Deno.lint.CallExpression["arguments"]): Title | undefined {
  const [first, second] = given;
  if (first?.type !== "ObjectExpression") {
    return given.map(asTitle).findLast((title) => title !== undefined) ?? nameOf(first);
  }
  const name = valueOf(first, "name");
  return name === undefined ? nameOf(second ?? valueOf(first, "fn")) : asTitle(name);
}

/** What an object gives a name, quoted or not. */
function valueOf({ properties }: Deno.lint.ObjectExpression, name: string): Deno.lint.Node | undefined {
  for (const property of properties) {
    if (property.type !== "Property") continue;
    const { key, value } = property;
    if (key.type === "Identifier" ? key.name === name : key.type === "Literal" && key.value === name) {
      return value;
    }
  }
  return undefined;
}

function asTitle(node: Deno.lint.Node): Title | undefined {
  if (node.type === "Literal" && typeof node.value === "string") return node as Deno.lint.StringLiteral;
  // A title that begins with a value takes its subject from there.
  if (node.type === "TemplateLiteral" && node.quasis[0]?.cooked !== "") return node;
  return undefined;
}

function nameOf(node: Deno.lint.Node | undefined): Title | undefined {
  return node?.type === "FunctionExpression" ? node.id ?? undefined : undefined;
}

/** A title's text, with `${}` for what is computed. */
function textOf(title: Title): string {
  if (title.type === "Identifier") return title.name;
  return title.type === "Literal" ? title.value : title.quasis.map(({ cooked }) => cooked).join("${}");
}

/**
 * The texts that a module spells out, read by Deno's own parser; comments are none.
 *
 * @module
 */

/** The strings, the parts of templates and the regular expressions of a module, in their order. */
export function literalsOf(text: string): string[] {
  const found: string[] = [];
  const plugin: Deno.lint.Plugin = {
    name: "literals",
    rules: {
      texts: {
        create: () => ({
          Literal: ({ value, raw }) => {
            if (typeof value === "string") found.push(value);
            else if (raw.startsWith("/")) found.push(raw);
          },
          TemplateElement: ({ cooked }) => {
            found.push(cooked);
          },
        }),
      },
    },
  };
  Deno.lint.runPlugin(plugin, "module.ts", text);
  return found;
}

/**
 * A strict reader of XML for tests: elements, attributes and text, and an error for anything that a browser's
 * reader of XML would refuse in a picture.
 *
 * @module
 */

/** An element. */
export class XmlElement {
  readonly children: XmlElement[] = [];
  /** Its own text, and not that of its elements. */
  text = "";
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;

  constructor(name: string, attributes: Readonly<Record<string, string>>) {
    this.name = name;
    this.attributes = attributes;
  }

  /** Elements of a name below it, in their order. */
  all(name: string): XmlElement[] {
    return this.children.flatMap((child) => [...(child.name === name ? [child] : []), ...child.all(name)]);
  }
}

const NAME = "[A-Za-z_][\\w:.-]*";
const TAG = new RegExp(`^<(${NAME})((?:\\s+${NAME}="[^"<]*")*)\\s*(/?)>`);
const END = new RegExp(`^</(${NAME})\\s*>`);

/** Reads a text that is one element. */
export function parseXml(xml: string): XmlElement {
  // deno-lint-ignore no-control-regex
  if (/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(xml) || !xml.isWellFormed()) {
    throw new SyntaxError("holds marks that XML does not allow");
  }
  const top = new XmlElement("", {});
  const open: XmlElement[] = [top];
  for (let at = 0; at < xml.length;) {
    const rest = xml.slice(at);
    const parent = open.at(-1)!;
    const tag = TAG.exec(rest);
    const end = END.exec(rest);
    if (tag !== null) {
      const [whole, name, attributes, empty] = tag as unknown as [string, string, string, string];
      const pairs = [...attributes.matchAll(new RegExp(`(${NAME})="([^"]*)"`, "g"))];
      const names = pairs.map(([, key]) => key);
      if (new Set(names).size !== names.length) throw new SyntaxError(`attributes twice in ${whole}`);
      const element = new XmlElement(name, Object.fromEntries(pairs.map(([, k, v]) => [k!, unescape(v!)])));
      parent.children.push(element);
      if (empty === "") open.push(element);
      at += whole.length;
    } else if (end !== null) {
      if (open.length === 1 || parent.name !== end[1]) throw new SyntaxError(`${end[0]} ends nothing`);
      open.pop();
      at += end[0].length;
    } else if (rest.startsWith("<")) {
      throw new SyntaxError(`no element at ${rest.slice(0, 80)}`);
    } else {
      const text = /^[^<]+/.exec(rest)![0];
      parent.text += unescape(text);
      at += text.length;
    }
  }
  if (open.length !== 1 || top.children.length !== 1 || top.text.trim() !== "") {
    throw new SyntaxError("is not one element");
  }
  return top.children[0]!;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replace(/&(#x[\da-f]+|#\d+|\w+)?(;)?/gi, (all, name: string | undefined, end) => {
    if (name === undefined || end === undefined) throw new SyntaxError(`a lone & at ${all}`);
    if (name.startsWith("#x")) return String.fromCodePoint(parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(Number(name.slice(1)));
    const mark = ENTITIES[name];
    if (mark === undefined) throw new SyntaxError(`unknown entity ${all}`);
    return mark;
  });
}

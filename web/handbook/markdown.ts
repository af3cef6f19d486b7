/**
 * Renders a page of Markdown. Headings have the anchors that Git hosts give them, so a link works in both places. HTML in a
 * page is refused: a reader of the Markdown would see it, and the content policy of a node forbids what it could do.
 */
import { Marked, type Tokens } from "marked";

export interface Heading {
  readonly depth: number;
  readonly text: string;
  readonly id: string;
}

export interface Rendered {
  readonly html: string;
  readonly title: string;
  /** All but the title. */
  readonly headings: readonly Heading[];
}

/** Where a link goes: an address of the site or of another site; undefined for a file that is not in the site. */
export type Resolve = (target: string) => string | undefined;

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** The text with the characters of HTML as entities. */
export const escaped = (text: string): string => text.replace(/[&<>"]/g, (found) => entities[found]!);

/** The anchor of a heading: lower case, a hyphen for a space, no punctuation. */
export const anchorOf = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");

/** @throws Error for HTML, for two headings with one anchor, and for a page without a title */
export function render(markdown: string, resolve: Resolve): Rendered {
  const headings: Heading[] = [];
  const ids = new Set<string>();
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth }) {
        const text = textOf(tokens);
        const id = anchorOf(text);
        if (ids.has(id)) throw new Error(`two headings have the anchor #${id}`);
        ids.add(id);
        headings.push({ depth, text, id });
        const link =
          depth === 1 ? "" : ` <a class="anchor" href="#${id}" aria-label="Link to this part">#</a>`;
        return `<h${depth} id="${id}">${this.parser.parseInline(tokens)}${link}</h${depth}>\n`;
      },
      link({ href, tokens }) {
        const text = this.parser.parseInline(tokens);
        const address = resolve(href);
        return address === undefined ? text : `<a href="${escaped(address)}">${text}</a>`;
      },
      image: ({ text }) => escaped(text),
      html({ text }) {
        throw new Error(`HTML is not allowed: ${text}`);
      },
      code: ({ text, lang }) => codeBlock(text, lang ?? ""),
      table(token) {
        const head = token.header.map((cell) =>
          cell.text === "" ? "<td></td>" : `<th scope="col">${this.parser.parseInline(cell.tokens)}</th>`,
        );
        const rows = token.rows.map(
          (row) =>
            `<tr>${row.map((cell) => `<td>${this.parser.parseInline(cell.tokens)}</td>`).join("")}</tr>`,
        );
        const isHeadless = token.header.every(({ text }) => text === "");
        const top = isHeadless ? "" : `<thead><tr>${head.join("")}</tr></thead>`;
        return `<div class="scroll" tabindex="0"><table>${top}<tbody>\n${rows.join("\n")}\n</tbody></table></div>\n`;
      },
    },
  });
  const html = marked.parse(markdown, { async: false });
  const [title, ...rest] = headings;
  if (title?.depth !== 1 || rest.some(({ depth }) => depth === 1))
    throw new Error("a page begins with its title, the only heading of the first depth");
  return { html, title: title.text, headings: rest };
}

/** The text of a heading without its marks. */
function textOf(tokens: readonly Tokens.Generic[]): string {
  return tokens
    .map((token) => (token.tokens === undefined ? String(token["text"] ?? token.raw) : textOf(token.tokens)))
    .join("");
}

/** A block of code. In a console block the commands stand out from their output. */
function codeBlock(text: string, language: string): string {
  const lines = escaped(text).split("\n");
  const shown =
    language === "console"
      ? lines.map((line) => (/^(\$|&gt;) /.test(line) ? `<span class="command">${line}</span>` : line))
      : lines;
  const name = language === "" ? "" : ` class="${escaped(language)}"`;
  return `<pre tabindex="0"><code${name}>${shown.join("\n")}\n</code></pre>\n`;
}

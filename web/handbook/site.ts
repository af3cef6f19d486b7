/**
 * Makes the handbook: the pages of docs/ and some others, with the reference that is generated from the code. A line of a page that
 * ends with `<!-- generated: NAME -->` stands for a part of the reference. Readers of the Markdown see the rest of the line.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { type Heading, type Rendered, render } from "./markdown.ts";
import { chapters, type Page, pages } from "./pages.ts";
import { references } from "./reference/references.ts";
import { layout } from "./template.ts";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** A page with its reference, as Markdown. */
interface Text {
  readonly page: Page;
  readonly markdown: string;
}

const marker = /^.*<!-- generated: ([a-z-]+) -->$/gm;

/** Resolves to all pages. @throws Error for a marker without a reference, and for a reference that no page has */
async function texts(): Promise<Text[]> {
  const used = new Set<string>();
  const found: Text[] = [];
  for (const page of pages) {
    const source = readFileSync(join(root, page.source), "utf8");
    const parts = new Map<string, string>();
    for (const [, name = ""] of source.matchAll(marker)) {
      const make = references[name];
      if (make === undefined) throw new Error(`${page.source}: there is no reference "${name}"`);
      used.add(name);
      parts.set(name, await make());
    }
    found.push({ page, markdown: source.replaceAll(marker, (_, name: string) => parts.get(name) ?? "") });
  }
  const unused = Object.keys(references).filter((name) => !used.has(name));
  if (unused.length > 0) throw new Error(`no page has the reference ${unused.join(", ")}`);
  return found;
}

/** Name of a file below the site's root → its text. */
export type Site = ReadonlyMap<string, string>;

/** Resolves to the files of the site. @throws Error for a link to a file or an anchor that does not exist */
export async function site(): Promise<Site> {
  const style = readFileSync(join(root, "web/handbook/style.css"), "utf8");
  const styleFile = `assets/style-${createHash("sha256").update(style).digest("base64url").slice(0, 8)}.css`;
  const files = new Map([[styleFile, style]]);
  const anchors = new Map<string, readonly Heading[]>();
  const links: { readonly from: string; readonly file: string; readonly anchor: string }[] = [];
  const rendered: { readonly page: Page; readonly content: Rendered }[] = [];
  for (const { page, markdown } of await texts()) {
    const content = render(markdown, (target) => {
      const link = linkOf(page, target);
      if (link?.file !== undefined) links.push({ from: page.source, file: link.file, anchor: link.anchor });
      return link?.address;
    });
    anchors.set(page.file, content.headings);
    rendered.push({ page, content });
  }
  const dead = links.filter(
    ({ file, anchor }) => anchor !== "" && anchors.get(file)?.some(({ id }) => id === anchor) !== true,
  );
  if (dead.length > 0)
    throw new Error(
      dead.map(({ from, file, anchor }) => `${from}: there is no ${file}#${anchor}`).join("\n"),
    );
  for (const { page, content } of rendered)
    files.set(page.file, layout({ page, content, chapters, pages, styleFile }));
  return files;
}

interface Link {
  readonly address: string;
  /** The page of the site, if it is one. */
  readonly file?: string;
  readonly anchor: string;
}

/** Returns where a link of a page goes. Undefined: a file of the repository that is not in the site. */
function linkOf(page: Page, target: string): Link | undefined {
  if (/^https?:/.test(target) || target.startsWith("/")) return { address: target, anchor: "" };
  const [path = "", anchor = ""] = target.split("#");
  const source = path === "" ? page.source : posix.normalize(posix.join(posix.dirname(page.source), path));
  const other = pages.find((one) => one.source === source);
  if (other !== undefined) {
    const address = `${path === "" ? "" : other.file}${anchor === "" ? "" : `#${anchor}`}`;
    return { address, file: other.file, anchor };
  }
  if (!existsSync(join(root, source)))
    throw new Error(`${page.source} links to ${target}, which does not exist`);
  return undefined;
}

/** The frame of a page: bar, contents of the handbook, contents of the page, the pages before and after it. */
import { escaped, type Rendered } from "./markdown.ts";
import type { Chapter, Page } from "./pages.ts";

export interface LayoutOptions {
  readonly page: Page;
  readonly content: Rendered;
  readonly chapters: readonly Chapter[];
  readonly pages: readonly Page[];
  readonly styleFile: string;
}

/** Returns the HTML of a page. It has no script, and nothing inline. */
export function layout({ page, content, chapters, pages, styleFile }: LayoutOptions): string {
  const at = pages.indexOf(page);
  const list = contents(chapters, page);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(page.file === "index.html" ? content.title : `${content.title} · Tailrace`)}</title>
<link rel="stylesheet" href="${styleFile}">
<link rel="icon" href="/ui/favicon.svg" type="image/svg+xml">
</head>
<body>
<a class="skip" href="#content">Skip to the text</a>
<header class="bar">
<a class="brand" href="index.html">Tailrace</a><span class="what">Handbook</span>
<a class="away" href="/ui/">Dashboard</a>
</header>
<div class="frame">
<details class="menu"><summary>Contents</summary><nav aria-label="Pages">${list}</nav></details>
<nav class="side" aria-label="Handbook">${list}</nav>
<main id="content">
${withTable(content)}
<nav class="turn" aria-label="Next pages">${turn(pages[at - 1], "prev")}${turn(pages[at + 1], "next")}</nav>
</main>
</div>
</body>
</html>
`;
}

function contents(chapters: readonly Chapter[], current: Page): string {
  return chapters
    .map(({ name, pages }) => {
      const items = pages.map((page) => {
        const mark = page === current ? ' aria-current="page"' : "";
        return `<li><a href="${page.file}"${mark}>${escaped(page.label)}</a></li>`;
      });
      return `<p class="chapter">${escaped(name)}</p><ul>${items.join("")}</ul>`;
    })
    .join("\n");
}

/** A page with several parts has a list of them below its title. */
const partsMin = 4;

function withTable({ html, headings }: Rendered): string {
  const parts = headings.filter(({ depth }) => depth === 2);
  if (parts.length < partsMin) return html;
  const items = parts.map(({ id, text }) => `<li><a href="#${id}">${escaped(text)}</a></li>`);
  return html.replace(
    "</h1>\n",
    () => `</h1>\n<nav class="parts" aria-label="On this page"><ul>${items.join("")}</ul></nav>\n`,
  );
}

function turn(page: Page | undefined, relation: "prev" | "next"): string {
  if (page === undefined) return "<span></span>";
  const label = relation === "prev" ? `← ${page.label}` : `${page.label} →`;
  return `<a rel="${relation}" href="${page.file}">${escaped(label)}</a>`;
}

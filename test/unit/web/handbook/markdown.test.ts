import assert from "node:assert/strict";
import { test } from "node:test";
import { anchorOf, render } from "../../../../web/handbook/markdown.ts";

const html = (markdown: string): string => render(markdown, (target) => target).html;

test("a heading has the anchor that Git hosts give it", () => {
  assert.equal(anchorOf("What is `written`?"), "what-is-written");
  assert.equal(anchorOf("GET /logs/NAME?offset"), "get-logsnameoffset");
  assert.match(
    html("# T\n\n## Exit `codes`\n"),
    /<h2 id="exit-codes">Exit <code>codes<\/code> <a class="anchor" href="#exit-codes"/,
  );
});

test("two headings with one anchor, a page without a title, and HTML are refused", () => {
  assert.throws(() => html("# T\n\n## a\n\n## A\n"), /two headings have the anchor #a/);
  assert.throws(() => html("text\n"), /begins with its title/);
  assert.throws(() => html("# T\n\n<b>bold</b>\n"), /HTML is not allowed/);
  assert.throws(() => html("# T\n\na <i>b</i>\n"), /HTML is not allowed/);
});

test("text is escaped, also in code and in addresses", () => {
  assert.match(html("# T\n\n`<script>` & a\n"), /<code>&lt;script&gt;<\/code> &amp; a/);
  assert.match(
    html("# T\n\n```text\n<b>&\n```\n"),
    /<pre tabindex="0"><code class="text">&lt;b&gt;&amp;\n<\/code><\/pre>/,
  );
  assert.match(html('# T\n\n[a](/x?"y)\n'), /href="\/x\?&quot;y"/);
});

test("the commands of a console block stand out, and a link to a file outside the site is text", () => {
  assert.match(
    html("# T\n\n```console\n$ a <b\n> c\nout\n```\n"),
    /<span class="command">\$ a &lt;b<\/span>\n<span class="command">&gt; c<\/span>\nout/,
  );
  assert.equal(render("# T\n\nsee [x](../x.ts)\n", () => undefined).html.includes("<p>see x</p>"), true);
});

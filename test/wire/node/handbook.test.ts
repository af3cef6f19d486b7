/** Runs every command of the handbook, page after page, against one node, and compares the output with the page. */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { consoleSteps } from "../../support/handbook/console-blocks.ts";
import { longPages } from "../../support/handbook/long-pages.ts";
import { readPage, runPage } from "../../support/handbook/run-page.ts";
import { freePort } from "../../support/process/free-port.ts";
import { root, startNode } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";

const files = globSync("docs/*.md", { cwd: root }).map((file) => file.replaceAll("\\", "/"));
/** The quick start describes a new node, so it comes first. */
const first = "docs/quick-start.md";
const pages = [first, ...files.filter((file) => file !== first && !longPages.includes(file)).sort()];

test("the commands of the handbook print the output that it shows", requireProgram("curl"), async (t) => {
  const node = await startNode(t, ["--data-dir", join(scratch(t), "data"), "--node-name", "a"]);
  const portOf = (address: string): number => Number(address.split(":").at(-1));
  const secure = await freePort();
  const ports = new Map([
    [8080, portOf(node.addr)],
    [9080, portOf(node.ops)],
    [8443, secure],
    [9443, secure + 1000],
  ]);
  const start = `${node.readyLine}\n${node.nextSteps}\n`;
  const handle = ({ command }: { readonly command: string }): string | undefined =>
    command === "npx tailrace serve" ? start : undefined;
  for (const page of pages.filter((one) => consoleSteps(readPage(one)).length > 0))
    await t.test(page, (t) => runPage(t, page, { ports, addr: node.addr, handle }));
});

test("commands are only in console blocks, also on the pages that are run for minutes", () => {
  for (const page of longPages) assert.ok(consoleSteps(readPage(page)).length > 10, page);
});

test("a node serves the handbook, with the headers of the dashboard", async (t) => {
  const node = await startNode(t, ["--data-dir", join(scratch(t), "data")]);
  const get = (path: string, init?: RequestInit): Promise<Response> => fetch(`${node.url}${path}`, init);
  const start = await get("/docs");
  assert.equal(start.url, `${node.url}/docs/`);
  assert.equal(start.headers.get("content-type"), "text/html; charset=utf-8");
  assert.match(start.headers.get("content-security-policy") ?? "", /script-src 'self'; style-src 'self'/);
  const [, style = ""] = /href="(assets\/style-[\w-]+\.css)"/.exec(await start.text()) ?? [];
  assert.match((await get(`/docs/${style}`)).headers.get("cache-control") ?? "", /immutable/);
  const head = await get("/docs/http.html", { method: "HEAD" });
  assert.equal(await head.text(), "");
  const known = { "if-none-match": head.headers.get("etag") ?? "" };
  assert.equal((await get("/docs/http.html", { headers: known })).status, 304);
  assert.equal((await get("/docs/..%2f..%2fpackage.json")).status, 404);
  assert.equal((await get("/docs/", { method: "POST" })).status, 405);
});

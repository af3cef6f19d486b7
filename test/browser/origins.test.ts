/**
 * A page of another origin in a real browser: without `--cors-origins` it neither reads nor writes, with and without credentials, also with
 * requests that need no preflight. With it, it does both.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createFastPath } from "../../src/api/mod.ts";
import { serveNode } from "../support/http/serve-node.ts";
import { openBrowser } from "./support/chromium.ts";
import { attempts } from "./support/foreign-page.ts";

test("a page of another origin neither reads nor writes, unless --cors-origins lists it", {
  timeout: 300_000,
}, async () => {
  await using closing = new AsyncDisposableStack();
  const pages = createServer((_, response) => response.setHeader("content-type", "text/html").end("<body>"));
  closing.defer(() => void pages.close());
  await once(pages.listen(0, "127.0.0.1"), "listening");
  const { port } = pages.address() as AddressInfo;
  const origins: string[] = [];
  const node = closing.use(await serveNode({ fastPath: createFastPath, origins: { origins, hosts: [] } }));
  assert.equal((await node.ask("PUT", "/logs/orders", "{}")).status, 201);
  const append = await node.ask("POST", "/logs/orders", "a", { "content-type": "text/plain" });
  assert.equal(append.status, 200);
  const browser = await openBrowser();
  closing.defer(() => browser.close());
  const state = async (): Promise<unknown[]> => [
    (await node.ask("GET", "/logs/orders")).text,
    (await node.ask("GET", "/logs")).text,
    await node.node.replica.log.bounds({ mode: "any" }),
  ];
  const before = await state();
  // Another port is another origin of the same site, another name another site.
  for (const host of ["127.0.0.1", "localhost"]) {
    const page = await browser.newPage();
    await page.goto(`http://${host}:${port}/`);
    assert.deepEqual(await page.evaluate(attempts(node.url)), [], `${host} reads nothing`);
    assert.deepEqual(await state(), before, `${host} writes nothing`);
    await page.close();
  }
  origins.push(`http://localhost:${port}`);
  const page = await browser.newPage();
  await page.goto(`http://localhost:${port}/`);
  const read = (await page.evaluate(attempts(node.url))) as string[];
  assert.ok(read.includes("GET /logs/orders?offset=0 200"), read.join("\n"));
  assert.notDeepEqual(await state(), before);
});

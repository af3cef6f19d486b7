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

const paths = [
  "/",
  "/logs/orders",
  "/logs/new?create",
  "/v1/stream/orders",
  "/log.v1.Log/Produce",
  "/tickets",
];

/** Source text for the page: tries everything, and resolves to what it could read. */
const attempts = (node: string): string => `(async () => {
  const read = [];
  const ask = async (path, options) => {
    try {
      const response = await fetch("${node}" + path, options);
      if (response.type !== "opaque") read.push(options.method + " " + path + " " + response.status);
    } catch {}
  };
  for (const credentials of ["omit", "include"]) {
    for (const path of ${JSON.stringify(paths)})
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json"])
        for (const mode of ["no-cors", "cors"])
          await ask(path, { method: "POST", mode, credentials, headers: { "content-type": type }, body: '{"record":{"value":"eA=="}}' });
    for (const path of ["/?offset=0", "/logs", "/logs/orders?offset=0", "/v1/stream/orders"])
      await ask(path, { method: "GET", mode: "cors", credentials });
    for (const [method, path] of [["PUT", "/logs/new"], ["DELETE", "/logs/orders"], ["PATCH", "/logs/orders"]])
      await ask(path, { method, mode: "cors", credentials, body: method === "DELETE" ? undefined : '{"max_bytes":1}' });
  }
  for (const path of ${JSON.stringify(paths)}) {
    const frame = Object.assign(document.createElement("iframe"), { name: "f" });
    document.body.append(frame);
    const form = Object.assign(document.createElement("form"), { method: "POST", enctype: "text/plain", action: "${node}" + path, target: "f" });
    form.append(Object.assign(document.createElement("input"), { name: '{"record":{"value":"eA=="},"x":"', value: '"}' }));
    document.body.append(form);
    const loaded = new Promise((done) => { frame.onload = done; });
    form.submit();
    await loaded;
    frame.remove();
  }
  const image = new Image();
  const shown = new Promise((done) => { image.onload = () => done(true); image.onerror = () => done(false); });
  image.src = "${node}/logs/orders?offset=0";
  if (await shown) read.push("image");
  return read;
})()`;

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

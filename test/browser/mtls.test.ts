import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard } from "./support/dashboard.ts";
import { curl, randomWord } from "./support/producer.ts";
import { RealNode } from "./support/real-node.ts";

const bin = join(dirname(fileURLToPath(import.meta.url)), "../../src/cli/bin.cjs");
let browser: Browser;
let node: RealNode;
let file: (name: string) => string;

before(async () => {
  browser = await openBrowser();
  node = new RealNode();
  file = (name) => join(node.directory, name);
  execFileSync(process.execPath, [bin, "certs", "--out", node.directory, "--host", "127.0.0.1"], {
    stdio: "pipe",
  });
  const policy = ["produce", "consume", "describe"].map((action) => `p, root, *, ${action}\n`).join("");
  writeFileSync(file("policy.csv"), policy);
  const tls = { cert: "server.pem", key: "server-key.pem", ca: "ca.pem" };
  for (const [part, name] of Object.entries(tls)) node.flags.push(`--server-tls-${part}-file`, file(name));
  node.flags.push("--acl-policy-file", file("policy.csv"));
  await node.start();
});
after(async () => {
  await browser.close();
  await node[Symbol.asyncDispose]();
});

/** Context options of a browser with this client certificate. */
const withCertificate = (name: string): BrowserContextOptions => ({
  ignoreHTTPSErrors: true,
  clientCertificates: [
    { origin: node.origin, certPath: file(`${name}-client.pem`), keyPath: file(`${name}-client-key.pem`) },
  ],
});
const rootByCurl = (): string[] => [
  "--cacert",
  file("ca.pem"),
  "--cert",
  file("root-client.pem"),
  "--key",
  file("root-client-key.pem"),
];

test("with a client certificate the page tails and appends over mTLS", async () => {
  await using page = await Dashboard.open(browser, node.origin, "", withCertificate("root"));
  await page.text("The log is empty");
  await page.text(`curl --cacert ca.pem --cert root-client.pem --key root-client-key.pem -d`);
  const word = randomWord();
  const offset = await curl(node.origin, word, ...rootByCurl());
  await page.row(offset).getByText(word).waitFor();
  await page.text("root");
  await page.page.keyboard.press("p");
  await page.page.getByRole("textbox", { name: "Value", exact: true }).fill("by the browser");
  await page.page.keyboard.press("Control+Enter");
  await page
    .row(offset + 1)
    .getByText("by the browser")
    .waitFor();
  await page.pictured("mtls");
  page.assertClean();
});

test("a certificate without permissions sees its subject and the reason, and no produce box", async () => {
  await using page = await Dashboard.open(browser, node.origin, "", withCertificate("nobody"));
  await page.text("You may not read this log");
  await page.text(/by your client certificate/);
  assert.equal(await page.page.getByTestId("subject").textContent(), "nobody");
  assert.equal(await page.page.getByRole("button", { name: "Produce" }).count(), 0);
  await page.pictured("mtls-denied");
  page.assertClean();
});

test("restarting the server over mTLS leaves no gap and no duplicate", async () => {
  await using page = await Dashboard.open(browser, node.origin, "?from=end", withCertificate("root"));
  await page.status("Live");
  const first = await curl(node.origin, "before", ...rootByCurl());
  await page.row(first).waitFor();
  await node.kill();
  await page.status(/Reconnecting/);
  await node.start();
  const last = await curl(node.origin, "after", ...rootByCurl());
  await page.row(last).getByText("after").waitFor();
  assert.deepEqual(await page.offsets(), [first, last]);
  assert.equal(last, first + 1);
});

test("without a certificate the page does not load", async () => {
  await assert.rejects(Dashboard.open(browser, node.origin, "", { ignoreHTTPSErrors: true }), /ERR_|net::/);
});

/** The pages of docs/examples.md in a browser, served from an origin of their own, with a real node. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { until } from "../support/until.ts";
import { openBrowser } from "./support/chromium.ts";
import { stuckMs } from "./support/dashboard.ts";
import { RealNode } from "./support/real-node.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const examples = readFileSync(join(root, "docs/examples.md"), "utf8");
const library = "/node_modules/@durable-streams/client/dist/index.js";

/** A file of the page, with the address of the node here. */
function fileOf(name: string): string {
  const [, text] = new RegExp(`^\`\`\`\\w+ ${name}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(examples) ?? [];
  assert.ok(text !== undefined, `docs/examples.md has no file ${name}`);
  return text.replaceAll("http://localhost:8080", node.origin);
}

let browser: Browser;
let node: RealNode;
let pages: Server;
let origin: string;

before(async () => {
  browser = await openBrowser();
  pages = createServer(({ url = "/" }, response) => {
    const isLibrary = url === library;
    if (!isLibrary && !url.endsWith(".html")) response.writeHead(404).end();
    else {
      response.setHeader("content-type", isLibrary ? "text/javascript" : "text/html");
      response.end(isLibrary ? readFileSync(join(root, library)) : fileOf(url.slice(1)));
    }
  });
  pages.listen(0, "127.0.0.1");
  await once(pages, "listening");
  origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  node = await new RealNode(["--cors-origins", origin]).start();
});
after(async () => {
  await browser.close();
  pages.closeAllConnections();
  pages.close();
  await node[Symbol.asyncDispose]();
});

const tailrace = (input: string, ...command: string[]): string =>
  execFileSync(process.execPath, [join(root, "src/cli/bin.cjs"), ...command], {
    cwd: node.directory,
    env: { ...process.env, TAILRACE_ADDR: node.address, NODE_OPTIONS: "" },
    input,
    encoding: "utf8",
  });

async function open(name: string): Promise<Page> {
  const page = await browser.newPage();
  page.setDefaultTimeout(stuckMs);
  await page.goto(`${origin}/${name}`);
  return page;
}

/** A pause that lasts until there is a line of standard input. */
const gated = `import { createInterface } from "node:readline";
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const pause = (_ms: number) => lines.next();`;

/** The offsets with which the page began to read, as they are asked for. */
function startsOf(page: Page, parameter: string): string[] {
  const starts: string[] = [];
  page.on("request", (request) => {
    const start = new URL(request.url()).searchParams.get(parameter);
    if (start !== null && request.method() === "GET") starts.push(start);
  });
  return starts;
}

test("the page that tails with a token goes on after a reload, and stops when the token is revoked", async () => {
  const key = ["--key-file", "page-key.json"];
  tailrace("", "logs", "create", "news/today");
  tailrace("", "token", "keys", "rotate", ...key);
  const scope = ["--subject", "reader", "--scope", "logs=news/*:consume", "--expires", "1h"];
  const token = tailrace("", "token", "issue", ...scope, ...key).trim();
  tailrace("first\nsecond\n", "produce", "--log", "news/today");
  await using page = await open("news.html");
  const starts = startsOf(page, "from");
  const items = () => page.locator("li").allTextContents();
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Read" }).click();
  await page.getByText("second").waitFor();
  assert.deepEqual(await items(), ["first", "second"]);
  await page.reload();
  await page.getByText("Live").waitFor();
  tailrace("third\n", "produce", "--log", "news/today");
  await page.getByText("third").waitFor();
  assert.deepEqual(await items(), ["third"]);
  assert.deepEqual(starts, ["start", "2"]);
  tailrace("", "token", "revoke", "--subject", "reader");
  await page.getByRole("status").getByText("revoked").waitFor();
});

test("the chat shows every word of the answer once, also if it is reloaded meanwhile", async () => {
  // Between its words the model waits until the test lets it go on, instead of for a time.
  const text = fileOf("model.mts").replace(/^import .* from "node:timers\/promises";$/m, gated);
  assert.match(text, /const lines = /);
  const model = spawn(process.execPath, ["--input-type=module-typescript", "-e", text], {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: "", NODE_NO_WARNINGS: "1" },
    stdio: ["pipe", "inherit", "inherit"],
  });
  const ended = once(model, "exit");
  const words = "You asked: what is a log? A log keeps every word, in order.".split(" ");
  const goOn = (count: number): void => void model.stdin?.write("go\n".repeat(count));
  goOn(5);
  const url = `${node.origin}/v1/stream/chat/answer-1`;
  await until("the model has begun", async () => (await fetch(url)).ok);
  await using page = await open("chat.html");
  const starts = startsOf(page, "offset");
  const main = page.locator("main");
  const shows = (count: number) =>
    until(`${count} words`, async () => (await main.textContent()) === `${words.slice(0, count).join(" ")} `);
  await shows(5);
  await page.reload();
  await shows(5);
  goOn(3);
  await shows(8);
  await page.reload();
  goOn(words.length - 8);
  model.stdin?.end();
  await page.getByText("Done").waitFor();
  await shows(words.length);
  assert.equal((await ended)[0], 0);
  assert.equal(starts[0], "0000000000000005");
  assert.ok(starts.includes("0000000000000008") && !starts.includes("-1"), String(starts));
  await page.reload();
  await shows(words.length);
});

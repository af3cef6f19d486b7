import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { until } from "../support/until.ts";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard, stuckMs } from "./support/dashboard.ts";
import { framesSeen, watchFrames } from "./support/frames.ts";
import { curl, produce, randomWord, shell } from "./support/producer.ts";
import { RealNode } from "./support/real-node.ts";

let browser: Browser;
let node: RealNode;

before(async () => {
  browser = await openBrowser();
  node = await new RealNode().start();
});
after(async () => {
  await browser.close();
  await node[Symbol.asyncDispose]();
});

const clipboard = { permissions: ["clipboard-read", "clipboard-write"] };
async function nextOffset(): Promise<number> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${node.origin}/log.v1.Log/Describe`, { method: "POST", headers, body: "{}" });
  return Number(((await response.json()) as { nextOffset: string }).nextOffset);
}

/** Returns the page's text about the records in its buffer. */
const bufferText = async (page: Dashboard): Promise<string> =>
  (await page.page.getByTestId("held").textContent()) ?? "";

async function waitUntilBuffered(page: Dashboard, last: number): Promise<void> {
  const text = new RegExp(`–${String(last).replace(/\B(?=(\d{3})+$)/g, ",")}( |$)`);
  await page.page.getByTestId("held").filter({ hasText: text }).waitFor({ timeout: stuckMs });
}

test("the first record that curl appends replaces the curl line, and the next ones follow", async () => {
  await using page = await Dashboard.open(browser, node.origin);
  await page.text("The log is empty");
  const copied = await page.page.locator(".copyable code").textContent();
  assert.equal(await shell(`${copied} -sS`), '{"offset":0}\n');
  await page.row(0).getByText("Hello, Tailrace!").waitFor();
  const begun = performance.now();
  const word = randomWord();
  assert.equal(await curl(node.origin, word), 1);
  await page.row(1).getByText(word).waitFor();
  console.log(`# from curl's start to the screen: ${(performance.now() - begun).toFixed(0)} ms`);
  await page.status("Live");
  page.assertClean();
});

test("scrolling up pauses, new records are counted, and resuming shows all of them", async () => {
  await produce(node.origin, 300, 0);
  const next = await nextOffset();
  await using page = await Dashboard.open(browser, node.origin);
  await page.status("Live");
  await page.row(next - 1).waitFor();
  await page.page.locator(".list-box").hover();
  await page.page.mouse.wheel(0, -700);
  await page.status("Paused");
  const before = await page.offsets();
  const last = await produce(node.origin, 120, 0);
  await page.page.getByTestId("resume").filter({ hasText: "120 new – resume" }).waitFor();
  assert.deepEqual(await page.offsets(), before, "the rows do not move while paused");
  await page.pictured("paused");
  await page.page.keyboard.press("Space");
  await page
    .row(next + 119)
    .getByText(last)
    .waitFor();
  await page.status("Live");
});

test("a reload keeps the position, and a link opens it in another browser", async () => {
  await produce(node.origin, 200, 0);
  await using page = await Dashboard.open(browser, node.origin, "?from=40");
  await page.row(40).waitFor();
  // A wheel does not go beyond the rows that have arrived.
  await page.until("document.querySelector('.list-box').scrollHeight >= 27 * 160");
  await page.page.locator(".list-box").hover();
  await page.page.mouse.wheel(0, 27 * 60);
  await page.row(100).waitFor();
  await page.until("new URLSearchParams(location.search).get('from') === '100'");
  await page.page.reload();
  await page.row(100).waitFor();
  await page.until("document.querySelector('.list-box').scrollTop > 0");
  const [top] = (await page.offsets()).filter((offset) => offset >= 96);
  assert.ok((await page.offsets()).includes(100) && (top ?? 0) <= 104, String(await page.offsets()));
  await using other = await Dashboard.open(browser, node.origin, new URL(page.page.url()).search);
  await other.row(100).waitFor();
  assert.equal((await other.offsets())[0], 100);
});

test("every form of start leads to its offset", async () => {
  await produce(node.origin, 50, 0);
  const next = await nextOffset();
  const cases: readonly (readonly [string, number])[] = [
    ["start", 0],
    ["17", 17],
    ["-5", next - 5],
    [`@${Date.now() - 86_400_000}`, 0],
    ["2020-01-01T00:00:00Z", 0],
  ];
  for (const [from, first] of cases) {
    await using page = await Dashboard.open(browser, node.origin, `?from=${encodeURIComponent(from)}`);
    await page.row(first).waitFor();
    assert.equal((await page.offsets())[0], first, from);
  }
});

test("a record is copied as its value, as curl and as grpcurl, and the curl line reads it", async () => {
  const word = randomWord();
  const offset = await curl(node.origin, `{"word":"${word}","nested":{"deep":[1,2,{"x":null}]}}`);
  await using page = await Dashboard.open(browser, node.origin, "", clipboard);
  await page.row(offset).click();
  const read = (): Promise<string> => page.page.evaluate("navigator.clipboard.readText()");
  await page.text("nested");
  await page.page.keyboard.press("c");
  await page.text("Value copied");
  assert.match(await read(), new RegExp(word));
  await page.page.getByRole("button", { name: "as curl" }).click();
  await page.text("curl line copied");
  const response = JSON.parse(await shell(await read())) as { record: { value: string } };
  assert.match(Buffer.from(response.record.value, "base64").toString(), new RegExp(word));
  await page.page.getByRole("button", { name: "as grpcurl" }).click();
  await page.text("grpcurl line copied");
  assert.equal(
    await read(),
    `grpcurl -plaintext -emit-defaults -d '{"offset":"${offset}"}' ${node.address} log.v1.Log/Consume`,
  );
  await page.page.getByRole("button", { name: "Link" }).click();
  await page.text("Link copied");
  await using linked = await Dashboard.open(browser, node.origin, new URL(await read()).search);
  await linked.page.getByRole("heading", { name: `Record ${offset}` }).waitFor();
  await linked.pictured("record");
});

test("the produce box appends the typed record, marks it in the tail, and repeats it N times", async () => {
  await using page = await Dashboard.open(browser, node.origin);
  await page.status("Live");
  await page.page.keyboard.press("p");
  const word = randomWord();
  const value = page.page.getByRole("textbox", { name: "Value", exact: true });
  await value.fill(`{"broken`);
  await page.page.getByRole("button", { name: "JSON", exact: true }).click();
  await value.press("Control+Enter");
  await page.text(/not JSON/);
  await value.fill(`{"word":"${word}"}`);
  await page.page.getByRole("textbox", { name: "Key" }).fill("my-key");
  await page.page.getByRole("textbox", { name: /^Headers/ }).fill("trace: abc\nkind: test");
  await value.press("Control+Enter");
  const offset = Number((await page.page.getByTestId("appended").textContent())?.replaceAll(",", ""));
  await page.row(offset).getByText(word).waitFor();
  assert.match((await page.row(offset).getAttribute("class")) ?? "", /is-fresh/);
  await page.row(offset).getByText("my-key").waitFor();
  await page.pictured("produce");
  await page.page.getByRole("spinbutton", { name: "Times" }).fill("2500");
  await page.page.getByRole("button", { name: "Append" }).click();
  await page.page
    .getByTestId("appended")
    .filter({ hasText: `${offset + 1} … ${(offset + 2500).toLocaleString("en")}` })
    .waitFor();
  await waitUntilBuffered(page, offset + 2500);
  page.assertClean();
});

test("the filter narrows the list by text, expression and path, and the keyboard moves within it", async () => {
  const word = randomWord();
  for (const level of ["info", "error", "info", "error"]) {
    await curl(node.origin, JSON.stringify({ level, word, user: { id: level.length } }));
  }
  await using page = await Dashboard.open(browser, node.origin, "?from=-50");
  await page.status("Live");
  await page.page.keyboard.press("/");
  await page.page.keyboard.type(word);
  const matches = page.page.getByTestId("matches");
  await matches.filter({ hasText: /^4$/ }).waitFor();
  assert.equal(await page.page.locator("mark").first().textContent(), word);
  const filter = page.page.getByRole("searchbox");
  await page.page.getByRole("button", { name: "Regular expression" }).click();
  await filter.fill(`error.*${word}`);
  await matches.filter({ hasText: /^2$/ }).waitFor();
  await page.page.getByRole("button", { name: "JSON path" }).click();
  await filter.fill("$.user.id = 5");
  await matches.filter({ hasText: /^2$/ }).waitFor();
  await filter.fill("$.user.id >");
  await page.text("compare with what?");
  await filter.fill("$.level = info");
  await matches.filter({ hasText: /^2$/ }).waitFor();
  await page.page.keyboard.press("Escape");
  await page.page.keyboard.press("k");
  await page.page.keyboard.press("k");
  await page.page.keyboard.press("Enter");
  const [first] = await page.offsets();
  await page.page
    .getByRole("heading", { name: `Record ${(first ?? 0).toLocaleString("en")}`, exact: true })
    .waitFor();
  await page.pictured("filter");
  await page.page.keyboard.press("?");
  await page.page.getByRole("dialog").waitFor();
  await page.pictured("help");
  page.assertClean();
});

test("killing and restarting the server leaves no gap and no duplicate on the page", async () => {
  await using page = await Dashboard.open(browser, node.origin, "?from=end");
  await page.status("Live");
  const first = await curl(node.origin, "first");
  await page.row(first).waitFor();
  const producing = produce(node.origin, 1000, 400);
  await page.until("parseInt(document.querySelector('[data-testid=held]').textContent) > 50");
  await node.kill();
  await page.status(/Reconnecting/);
  await node.start();
  const last = await producing;
  await page.page.getByText(last).waitFor();
  await page.status("Live");
  const seen = await page.scrollBackTo(first);
  assert.ok(seen >= 1001, `${seen} records were on the page`);
  assert.equal(await page.page.getByText(/The server skipped/).count(), 0);
});

test("the page receives thousands of records per second in bounded memory and keeps painting", async () => {
  await using page = await Dashboard.open(browser, node.origin, "?from=end");
  await page.status("Live");
  const first = await curl(node.origin, "first");
  await page.row(first).waitFor();
  await watchFrames(page.page);
  const count = 20_000;
  const last = await produce(node.origin, count, 5000);
  await page.page.getByText(last).waitFor();
  const frames = await framesSeen(page.page);
  console.log(
    `# ${frames.count} frames, work p50 ${frames.workP50Ms.toFixed(1)} p95 ${frames.workP95Ms.toFixed(1)} ms, gap p95 ${frames.gapP95Ms.toFixed(1)} ms`,
  );
  assert.ok(frames.gapMaxMs < 2000, `the page was frozen for ${frames.gapMaxMs} ms`);
  assert.ok((await page.page.locator(".row").count()) < 60, "only the visible rows exist");
  assert.match(await bufferText(page), new RegExp(`^${(count + 1).toLocaleString("en")} records held`));
  await page.status("Live");
  await page.pictured("live");
});

test("at a width of 360 pixels every view fits without horizontal scrolling", async () => {
  await curl(node.origin, JSON.stringify({ level: "info", word: randomWord(), long: "x".repeat(500) }));
  await using page = await Dashboard.open(browser, node.origin, "", {
    viewport: { width: 360, height: 740 },
  });
  await page.status("Live");
  const wide = "document.scrollingElement.scrollWidth - innerWidth";
  assert.equal(await page.page.evaluate(wide), 0);
  await page.pictured("narrow-tail");
  await page.page.locator("[data-offset]").last().click();
  await page.page.getByRole("complementary").waitFor();
  assert.equal(await page.page.evaluate(wide), 0);
  await page.pictured("narrow-record");
  await page.page.getByRole("button", { name: "Close" }).click();
  for (const view of ["Cluster", "Segments"]) {
    await page.page.getByRole("button", { name: view }).click();
    await page.page.locator("table").waitFor();
    assert.equal(await page.page.evaluate(wide), 0, view);
    await page.pictured(`narrow-${view.toLowerCase()}`);
  }
});

test("the charts show what was before the page was opened", async () => {
  await using page = await Dashboard.open(browser, node.origin);
  const isOlder = async (): Promise<boolean> => {
    await page.page.reload();
    await page.page
      .locator(".plot-canvas")
      .first()
      .hover({ position: { x: 1, y: 5 } });
    await page.page.locator(".plot-when").first().filter({ hasText: "ago" }).waitFor();
    // The oldest sample is under the pointer.
    const ago = (await page.page.locator(".plot-when").first().textContent()) ?? "";
    const pageMs = (await page.page.evaluate("performance.now()")) as number;
    const seconds = ago.includes("min") ? 60 : Number.parseFloat(ago);
    return seconds * 1_000 > pageMs + 1_500;
  };
  // The node counts since its start.
  await until("a sample is older than the page", isOlder);
  page.assertClean();
});

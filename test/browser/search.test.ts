import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard } from "./support/dashboard.ts";
import { FakeNode } from "./support/fake-node.ts";
import { appendNumbered } from "./support/numbered-records.ts";
import { RealNode } from "./support/real-node.ts";

const records = 12_000;
let browser: Browser;
let node: RealNode;

before(async () => {
  browser = await openBrowser();
  node = await new RealNode().start();
  await appendNumbered(node, records);
});
after(async () => {
  await browser.close();
  await node[Symbol.asyncDispose]();
});

const button = (page: Dashboard, name: string | RegExp) =>
  page.page.getByRole("button", { name, exact: true });
const field = (page: Dashboard) => page.page.getByRole("searchbox", { name: "Search the log" });
const seen = (page: Dashboard, id: string, text: string | RegExp): Promise<void> =>
  page.page.getByTestId(id).filter({ hasText: text }).waitFor();

async function search(page: Dashboard, kind: string, query: string): Promise<void> {
  await button(page, kind).click();
  await field(page).fill(query);
  await field(page).press("Enter");
}

test("a search reads the whole log on the server, and its link shows the same", async () => {
  await using page = await Dashboard.open(browser, node.origin, "?from=-5");
  await page.row(records - 1).waitFor();
  await page.page.keyboard.press("/");
  await page.page.keyboard.type("ORDERS/00000042");
  await button(page, "Whole log").click();
  await seen(page, "search-progress", "Searched all 12,000 records");
  await seen(page, "search-found", "0 found");
  await search(page, "Text", "orders/0000004");
  await seen(page, "search-found", "10 found");
  await page.row(49).waitFor();
  assert.deepEqual(await page.offsets(), [40, 41, 42, 43, 44, 45, 46, 47, 48, 49]);
  assert.equal(await page.row(42).locator("mark").textContent(), "orders/0000004");
  await page.pictured("search");
  await page.row(42).click();
  await page.text("Record 42");
  await page.until(`location.search.includes("in=log") && location.search.includes("open=42")`);
  await page.page.reload();
  await seen(page, "search-found", "10 found");
  await page.text("Record 42");
  assert.deepEqual(await page.offsets(), [40, 41, 42, 43, 44, 45, 46, 47, 48, 49]);
  const download = page.page.waitForEvent("download");
  await button(page, "Save as NDJSON").click();
  const lines = readFileSync(await (await download).path(), "utf8")
    .trimEnd()
    .split("\n");
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { offset: number }).offset),
    [40, 41, 42, 43, 44, 45, 46, 47, 48, 49],
  );
  await button(page, "Whole log").click();
  await page.page.getByRole("searchbox", { name: "Filter" }).fill("");
  await page.row(records - 1).waitFor();
  await page.status("Live");
  page.assertClean();
});

test("keys, headers, regular expressions and CEL are searched, and an error of CEL is shown at its place", async () => {
  await fetch(`${node.origin}/`, {
    method: "POST",
    body: JSON.stringify({ record: { value: "aGVhZGVk", headers: [{ key: "kind", value: "b3JkZXI=" }] } }),
  });
  await using page = await Dashboard.open(browser, node.origin, "?in=log");
  await search(page, "Beginning of the key", "user/1234");
  await seen(page, "search-found", "2 found");
  assert.deepEqual(await page.offsets(), [1234, 11_234]);
  await search(page, "Header", "kind = order");
  await seen(page, "search-found", "1 found");
  await page.row(records).getByText("headed").waitFor();
  await search(page, "Regular expression", "orders/0000(12|34)00");
  await seen(page, "search-found", "2 found");
  assert.deepEqual(await page.offsets(), [1200, 3400]);
  await button(page, "Edit as CEL").click();
  assert.match(await field(page).inputValue(), /^text\.matches\("\(\?i\)orders/);
  await seen(page, "search-found", "2 found");
  await search(page, "CEL expression", 'json.id == "00000007" && key = "x"');
  await seen(page, "search-error", /^the filter is not valid at character 29/);
  assert.equal(await page.page.locator(".bad-mark").textContent(), "=");
  assert.equal(await field(page).getAttribute("aria-invalid"), "true");
  await page.pictured("search-error");
  await search(page, "CEL expression", 'json.id == "00000007"');
  await seen(page, "search-found", "1 found");
  assert.equal(await field(page).getAttribute("aria-invalid"), "false");
  assert.deepEqual(await page.offsets(), [7]);
  page.assertClean();
});

test("what is found beyond the limit of the page is counted, with a command that exports all", async () => {
  await using page = await Dashboard.open(browser, node.origin, "?in=log&q=orders");
  await seen(page, "search-found", "12,000 found");
  await seen(page, "search-more", "The first 10,000 are shown, 2,000 more are not.");
  await seen(page, "search-more", "--from start --filter 'text.matches");
  await page.page.locator(".list-box").evaluate((box) => box.scrollTo(0, box.scrollHeight));
  await page.row(9_999).waitFor();
  await page.page.setViewportSize({ width: 360, height: 740 });
  await page.pictured("search-narrow");
  page.assertClean();
});

test("a search that a node suspends or cuts goes on by itself; it can be stopped, and goes on where it was", async () => {
  const fake = new FakeNode();
  await fake.start();
  try {
    fake.append(...Array.from({ length: 35 }, (_, at) => (at % 5 === 0 ? `needle ${at}` : `hay ${at}`)));
    fake.filteredMax = 10;
    await using page = await Dashboard.open(browser, fake.origin, "?in=log&q=needle");
    await seen(page, "search-progress", "Searched all 35 records");
    await seen(page, "search-found", "7 found");
    assert.deepEqual(fake.filteredFrom, [0, 10, 20, 30]);
    assert.deepEqual(await page.offsets(), [0, 5, 10, 15, 20, 25, 30]);
    fake.append("needle 35", "hay 36");
    await button(page, "Search new records").click();
    await seen(page, "search-progress", "Searched all 37 records");
    await seen(page, "search-found", "8 found");

    let release = (): void => {};
    fake.filterGate = new Promise((resolve) => {
      release = resolve;
    });
    await search(page, "Text", "hay");
    await seen(page, "search-progress", "Searching: 0 of 37 (0 %)");
    await button(page, "Stop").click();
    await seen(page, "search-progress", "Stopped: 0 of 37 (0 %)");
    release();
    fake.filteredMax = 30;
    await button(page, "Go on").click();
    await seen(page, "search-progress", "Searched all 37 records");
    await seen(page, "search-found", "29 found");
    await page.page.keyboard.press("Escape");
    await page.page.keyboard.press("Escape");
    await page.status("Live");
    await page.row(36).waitFor();

    fake.filterGate = new Promise((resolve) => {
      release = resolve;
    });
    await button(page, "Whole log").click();
    await search(page, "Text", "needle");
    await seen(page, "search-progress", "Searching: 0 of 37");
    await fake.stop();
    release();
    await page.text("the node does not answer; trying again");
    await fake.start();
    await seen(page, "search-progress", "Searched all 37 records");
    await seen(page, "search-found", "8 found");
    page.assertClean();
  } finally {
    await fake.stop();
  }
});

test("a node that does not know filters is reported, and its records are not shown as found", async () => {
  const old = new FakeNode();
  await old.start();
  try {
    old.append("a", "b");
    await using page = await Dashboard.open(browser, old.origin, "?in=log&q=needle");
    await seen(page, "search-error", "the node does not know filters: its version is too old");
    assert.deepEqual(await page.offsets(), []);
  } finally {
    await old.stop();
  }
});

/** How records are read on the page: names of columns, dates, places that the address names, saved files. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { Browser } from "playwright-core";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard } from "./support/dashboard.ts";
import { FakeNode } from "./support/fake-node.ts";

let browser: Browser;
let node: FakeNode;

before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());
beforeEach(async () => {
  node = new FakeNode();
  await node.start();
});
afterEach(() => node.stop());

const value = (text: string) => Buffer.from(text);
const dayMs = 86_400_000;

test("columns have names, a row shows its date where the date changes, and an empty value is visible", async () => {
  const firstMs = Date.UTC(2026, 10, 30, 23, 59, 58);
  const at = (ms: number) => ({ timestampMs: BigInt(firstMs + ms) });
  node.append(
    { ...at(0), value: value("last of the day"), key: value("user-1") },
    { ...at(1_500), value: value("same day") },
    { ...at(2_500), value: value(""), headers: [{ key: "h", value: value("1") }] },
    { ...at(dayMs), value: value("a day later") },
  );
  await using page = await Dashboard.open(browser, node.origin, "?time=utc");
  await page.row(3).waitFor();
  const names = await page.page.getByRole("columnheader").allTextContents();
  assert.deepEqual(
    names.map((name) => name.trim()),
    ["Offset", "2026-11-30 Time", "Key", "Headers", "Value", "Size"],
  );
  const times = await page.page.locator("[data-offset] .cell-time").allTextContents();
  assert.deepEqual(times, [
    "2026-11-30 23:59:58.000",
    "23:59:59.500",
    "2026-12-01 00:00:00.500",
    "23:59:58.000",
  ]);
  assert.equal(await page.row(2).locator(".cell-value").textContent(), "empty");
  assert.equal(await page.row(0).locator(".cell-key").textContent(), "user-1");
  assert.equal(await page.row(2).locator(".cell-headers").textContent(), "1");
  await page.pictured("columns");
  page.assertClean();
});

test("?open=N scrolls to the record, Escape closes it and then resumes, and the button covers no row", async () => {
  node.append(...Array.from({ length: 3_000 }, (_, at) => `record ${at}`));
  await using page = await Dashboard.open(browser, node.origin, "?open=1500");
  await page.page.getByRole("heading", { name: "Record 1,500", exact: true }).waitFor();
  await page.row(1_500).waitFor();
  const row = await page.row(1_500).boundingBox();
  const box = await page.page.locator(".list-box").boundingBox();
  assert.ok(row !== null && box !== null && row.y >= box.y && row.y + row.height <= box.y + box.height);
  await page.page.keyboard.press("Escape");
  await page.page.getByRole("heading", { name: "Record 1,500", exact: true }).waitFor({ state: "detached" });
  await page.status("Paused");
  const pill = await page.page.getByTestId("resume").boundingBox();
  assert.ok(pill !== null && pill.y >= box.y + box.height, "it is below the list");
  await page.page.keyboard.press("Escape");
  await page.row(2_999).waitFor();
  await page.status("Live");
});

test("a place beyond the end is said at once", async () => {
  node.append("one", "two");
  await using page = await Dashboard.open(browser, node.origin, "?from=1000");
  await page.text("The log ends before this place");
  await page.text("It ends at 2");
  await page.page.getByRole("button", { name: "Go to its end" }).click();
  await page.row(1).waitFor();
});

test("what is shown is saved as NDJSON and as CSV", async () => {
  node.append(
    { timestampMs: 0n, value: value('say "hi", twice'), key: value("k") },
    { timestampMs: 1n, value: Buffer.from([255, 0]) },
    { timestampMs: 2n, value: value("other") },
  );
  await using page = await Dashboard.open(browser, node.origin, "?from=0");
  await page.row(2).waitFor();
  const saved = async (kind: string): Promise<string> => {
    const download = page.page.waitForEvent("download");
    await page.page.getByRole("button", { name: `Save as ${kind}` }).click();
    const file = await download;
    assert.equal(file.suggestedFilename(), `default.${kind.toLowerCase()}`);
    return readFileSync(await file.path(), "utf8");
  };
  assert.equal(
    await saved("CSV"),
    [
      "offset,time,key,headers,value_as,value",
      '0,1970-01-01T00:00:00.000Z,k,,text,"say ""hi"", twice"',
      "1,1970-01-01T00:00:00.001Z,,,base64,/wA=",
      "2,1970-01-01T00:00:00.002Z,,,text,other",
      "",
    ].join("\r\n"),
  );
  await page.page.getByRole("searchbox", { name: "Filter" }).fill("other");
  await page.page.getByTestId("matches").filter({ hasText: "1" }).waitFor();
  assert.equal(await saved("NDJSON"), '{"offset":2,"timestamp_ms":2,"text":"other"}\n');
});

test("at a width of 360 pixels the newest record is in sight", async () => {
  node.append("the only record");
  await using page = await Dashboard.open(browser, node.origin, "", {
    viewport: { width: 360, height: 640 },
  });
  await page.row(0).waitFor();
  const row = await page.row(0).boundingBox();
  assert.ok(row !== null && row.y + row.height <= 640, JSON.stringify(row));
  await page.pictured("narrow");
});

test("the cluster view says how many failures are tolerated", async () => {
  const healthy = { role: "follower", healthy: true, version: "0.1.0" };
  node.cluster.nodes = [
    { ...healthy, id: "node-2" },
    { ...healthy, id: "node-3" },
  ];
  node.append("x");
  await using page = await Dashboard.open(browser, node.origin, "?view=cluster");
  await page.page
    .getByTestId("tolerance")
    .filter({ hasText: "3 nodes vote: the cluster tolerates 1 failure." })
    .waitFor();
  await page.page.getByRole("columnheader", { name: "Commit index" }).waitFor();
});

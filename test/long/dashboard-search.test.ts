import assert from "node:assert/strict";
import { test } from "node:test";
import type { CDPSession } from "playwright-core";
import { cpuSeconds } from "../bench/load/server-process.ts";
import { openBrowser } from "../browser/support/chromium.ts";
import { Dashboard } from "../browser/support/dashboard.ts";
import { appendNumbered, errorEvery } from "../browser/support/numbered-records.ts";
import { RealNode } from "../browser/support/real-node.ts";

const records = 10_000_000;
/** Limit of one search, against hanging. */
const searchMsMax = 600_000;
const heapBytesMax = 64 << 20;

/** Each with the number of records that match. */
const searches: readonly (readonly [name: string, query: string, found: number])[] = [
  ["text, as written", "q=ORDERS", 0],
  ["text, ignoring case", "q=orders/09999999", 1],
  ["beginning of the key", "q=user/123&by=key", records / 1_000],
  ["CEL on bytes and JSON", 'q=key == "user/9999" %26%26 json.level == "error"&by=cel', records / errorEvery],
  ["CEL on JSON", 'q=json.level == "error"&by=cel', records / errorEvery],
];

/** Notes tasks of the page's thread that take longer than 50 ms. */
const watchTasks = `
  globalThis.longTasks = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration)))
    .observe({ type: "longtask", buffered: false });
`;

/** Seconds of processor time that the page's thread has used. */
async function pageSeconds(devtools: CDPSession): Promise<number> {
  const { metrics } = await devtools.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN;
}

test(`a search in ${records} records is completed, and the page stays small and quick`, async (t) => {
  await using node = await new RealNode().start();
  const browser = await openBrowser();
  t.after(() => browser.close());
  await appendNumbered(node, records);
  for (const [name, query, expected] of searches) {
    await using page = await Dashboard.open(browser, node.origin, "?in=log");
    await page.status("Live");
    const devtools = await page.page.context().newCDPSession(page.page);
    await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
    await page.page.goto(`${node.origin}/ui/?in=log&${query}`);
    await page.page.evaluate(watchTasks);
    const [begun, nodeBefore, pageBefore] = [
      performance.now(),
      cpuSeconds(node.pid as number),
      await pageSeconds(devtools),
    ];
    await page.page.getByTestId("search-rate").waitFor();
    await page.page
      .getByTestId("search-progress")
      .filter({ hasText: "Searched all 10,000,000 records" })
      .waitFor({ timeout: searchMsMax });
    const seconds = (performance.now() - begun) / 1000;
    const nodeCpu = cpuSeconds(node.pid as number) - nodeBefore;
    const pageCpu = (await pageSeconds(devtools)) - pageBefore;
    const found = await page.page.getByTestId("search-found").textContent();
    const longTasks = (await page.page.evaluate("longTasks")) as number[];
    await devtools.send("HeapProfiler.collectGarbage");
    const { usedSize } = await devtools.send("Runtime.getHeapUsage");
    console.log(
      `# ${name}: ${seconds.toFixed(1)} s, ${Math.round(records / seconds)} records/s; processor time: node ` +
        `${nodeCpu.toFixed(1)} s, page ${pageCpu.toFixed(2)} s; heap ${(usedSize / 2 ** 20).toFixed(1)} MiB; ` +
        `tasks above 50 ms: ${JSON.stringify(longTasks.map(Math.round))}`,
    );
    assert.equal(found, `${expected.toLocaleString("en-US")} found`, name);
    assert.ok(usedSize < heapBytesMax, `${usedSize} bytes`);
    page.assertClean();
  }
  await using page = await Dashboard.open(browser, node.origin, "?in=log&q=true&by=cel");
  const found = page.page.getByTestId("search-found");
  await found.filter({ hasText: "100,000 found" }).waitFor();
  await page.text("The search has stopped, because so many match.");
  await page.page.getByRole("button", { name: "Go on" }).click();
  await found.filter({ hasText: "200,000 found" }).waitFor();
  await page.text("Stopped: 200,000 of 10,000,000 (2 %)");
  page.assertClean();
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { openBrowser } from "../browser/support/chromium.ts";
import { Dashboard } from "../browser/support/dashboard.ts";
import { framesSeen, watchFrames } from "../browser/support/frames.ts";
import { curl, produce } from "../browser/support/producer.ts";
import { RealNode } from "../browser/support/real-node.ts";

const [rate, seconds] = [5000, 30];
/** The target for the work in a frame is printed. The test fails only if the page does not draw smoothly. */
const [frameMsBar, frameMsMax] = [16, 100];
/** Allowance for garbage that is not collected yet, and for code that the browser compiles. */
const heapGrowthBytesMax = 4 << 20;

test(`${rate} records per second for ${seconds} s keep the page drawing and its memory flat`, async (t) => {
  await using node = await new RealNode().start();
  const browser = await openBrowser();
  t.after(() => browser.close());
  await using page = await Dashboard.open(browser, node.origin, "?from=end");
  await page.status("Live");
  await page.row(await curl(node.origin, "first")).waitFor();
  const devtools = await page.page.context().newCDPSession(page.page);
  const heapBytes = async (): Promise<number> => {
    await devtools.send("HeapProfiler.collectGarbage");
    return (await devtools.send("Runtime.getHeapUsage")).usedSize;
  };
  await page.page.getByText(await produce(node.origin, rate * 12, rate)).waitFor();
  const heapBefore = await heapBytes();
  await watchFrames(page.page);
  const last = await produce(node.origin, rate * seconds, rate);
  await page.page.getByText(last).waitFor();
  const frames = await framesSeen(page.page);
  const heapAfter = await heapBytes();
  const held = await page.page.getByTestId("held").textContent();
  console.log(`# work p95 ${frames.workP95Ms.toFixed(1)} ms, bar ${frameMsBar} ms`);
  console.log(`# ${JSON.stringify(frames)} heap ${heapBefore} → ${heapAfter}; ${held}`);
  assert.match(
    held ?? "",
    /^50,000 records held, 160,001–210,000 · buffer keeps the newest; 160,001 have left it/,
  );
  assert.ok(frames.workP95Ms <= frameMsMax, `${frames.workP95Ms} ms`);
  assert.ok(heapAfter - heapBefore < heapGrowthBytesMax, `${heapAfter - heapBefore} bytes`);
  await page.status("Live");
  page.assertClean();
});

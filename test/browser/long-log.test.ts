import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { until } from "../support/until.ts";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard } from "./support/dashboard.ts";
import { FakeNode } from "./support/fake-node.ts";
import { curl, produce } from "./support/producer.ts";
import { RealNode } from "./support/real-node.ts";

const records = 120_000;
let browser: Browser;
let node: RealNode;
let last: string;

before(async () => {
  browser = await openBrowser();
  node = await new RealNode().start();
  last = await produce(node.origin, records, 0);
});
after(async () => {
  await browser.close();
  await node[Symbol.asyncDispose]();
});

const waitForBufferText = (page: Dashboard, text: RegExp): Promise<void> =>
  page.page.getByTestId("held").filter({ hasText: text }).waitFor();
const scrollTo = (page: Dashboard, top: string): Promise<unknown> =>
  page.page.evaluate(`document.querySelector(".list-box").scrollTop = ${top}`);

test("a log longer than the buffer waits for the reader, and a jump shows which records it skipped", async () => {
  await using page = await Dashboard.open(browser, node.origin, "?from=start");
  await page.row(0).waitFor();
  await waitForBufferText(page, /^50,000 records held, 0–49,999 · 70,000 not read yet/);
  await page.status("Paused");
  assert.equal((await page.offsets())[0], 0, "the first records stay in view");
  await scrollTo(page, "27 * 30000");
  await page.row(30_000).waitFor();
  await waitForBufferText(page, /29,000 have left it/);
  const offsets = await page.offsets();
  assert.ok(offsets.includes(30_000), `the visible rows do not move: ${offsets[0]}`);
  await waitForBufferText(page, /29,000–78,999/);
  await page.page.keyboard.press("g");
  await waitForBufferText(page, /0–49,999/);
  await page.page.keyboard.press("G");
  await page
    .row(records - 1)
    .getByText(last)
    .waitFor();
  await page.status("Live");
  await page.text("Jumped to the end over 69,500 records, 50,000–119,499.");
  await page.pictured("jumped");
  await page.page.getByRole("button", { name: "Go back there" }).click();
  await page.row(50_000).waitFor();
  assert.equal((await page.offsets())[0], 50_000);
  page.assertClean();
});

test("a search through more than the buffer continues in steps and misses no record", async () => {
  const needle = `needle-${Date.now()}`;
  const offset = await curl(node.origin, needle);
  await using page = await Dashboard.open(browser, node.origin, `?from=60000&q=${needle}`);
  for (let steps = 0; (await page.row(offset).count()) === 0; steps++) {
    assert.ok(steps < 5, "two buffers hold the rest of the log");
    const on = page.page.getByRole("button", { name: /^Search on from/ });
    await on.or(page.row(offset)).first().waitFor();
    if ((await on.count()) > 0) await on.click();
    await page.page.waitForTimeout(100);
  }
  assert.equal(await page.page.locator("mark").textContent(), needle);
  page.assertClean();
});

test("a tab that is hidden for a minute closes its stream and continues at its position when it is visible", async () => {
  const quiet = new FakeNode();
  await quiet.start();
  try {
    quiet.append("a", "b");
    await using page = await Dashboard.open(browser, quiet.origin, "", {
      before: (opened) => opened.clock.install(),
    });
    await page.row(1).waitFor();
    await page.status("Live");
    assert.equal(quiet.tails, 1);
    const setVisibility = (state: string): Promise<unknown> =>
      page.page.evaluate(
        `Object.defineProperty(document, "visibilityState", { configurable: true, value: "${state}" }), document.dispatchEvent(new Event("visibilitychange"))`,
      );
    await setVisibility("hidden");
    await page.page.clock.runFor(30_000);
    assert.equal(quiet.tails, 1, "a tab that is hidden briefly keeps its stream");
    await page.page.clock.runFor(31_000);
    await page.status("Asleep");
    await until("the stream is closed", () => quiet.tails === 0);
    quiet.append("c", "d");
    await setVisibility("visible");
    await page.page.clock.runFor(2_000);
    await page.row(3).waitFor();
    assert.deepEqual(await page.offsets(), [0, 1, 2, 3]);
  } finally {
    await quiet.stop();
  }
});

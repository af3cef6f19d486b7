import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { until } from "../support/until.ts";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard, stuckMs } from "./support/dashboard.ts";
import { FakeNode } from "./support/fake-node.ts";
import { framesSeen, watchFrames } from "./support/frames.ts";
import { curl, randomWord, shell } from "./support/producer.ts";
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

async function rpc(method: string, message: object): Promise<Record<string, unknown>> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(message);
  const response = await fetch(`${node.origin}/log.v1.${method}`, { method: "POST", headers, body });
  const answer = (await response.json()) as Record<string, unknown>;
  assert.ok(response.ok, `${method}: ${JSON.stringify(answer)}`);
  return answer;
}

const createLogs = async (names: readonly string[]): Promise<void> => {
  await Promise.all(names.map((name) => rpc("Logs/CreateLog", { name })));
};
const append = (log: string, text: string): Promise<unknown> =>
  rpc("Log/Produce", { log, record: { value: Buffer.from(text).toString("base64") } });

const logRow = (page: Dashboard, name: string) => page.page.locator(`[data-log="${name}"]`);
const button = (page: Dashboard, name: string | RegExp) =>
  page.page.getByRole("button", { name, exact: true });
const field = (page: Dashboard, name: string) => page.page.getByRole("textbox", { name, exact: true });
const openedName = (page: Dashboard, name: string): Promise<void> =>
  page.page.getByTestId("log-name").filter({ hasText: name }).waitFor();

test("a log is created, filled by the produce box and by curl, and tailed; a reload shows the same log", async () => {
  const onDefault = randomWord();
  await curl(node.origin, onDefault);
  await using page = await Dashboard.open(browser, node.origin);
  await page.row(0).getByText(onDefault).waitFor();
  await button(page, "Logs").click();
  await logRow(page, "default").waitFor();
  await page.text("There is no log besides “default”");
  // The page is drawn again before the list knows what was typed.
  await page.page.evaluate(`(() => {
    const field = document.querySelector('input[type="search"]');
    field.value = "typed";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    [...document.querySelectorAll("button")].find((one) => one.textContent === "Create").click();
  })()`);
  await field(page, "Name").waitFor();
  assert.equal(await page.page.getByRole("searchbox").inputValue(), "typed");
  await page.page.getByRole("searchbox").fill("");
  await field(page, "Name").fill("orders/../eu");
  await field(page, "Largest record").fill("a lot");
  await page.page.getByRole("complementary").getByRole("button", { name: "Create" }).click();
  await page.text("a number of bytes, or a size like 64 MiB");
  await field(page, "Largest record").fill("1 KiB");
  await field(page, "Keep the last (age)").fill("7d");
  await field(page, "Keep the newest (size)").fill("1 GiB");
  await page.page.getByRole("complementary").getByRole("button", { name: "Create" }).click();
  await page.page
    .getByRole("alert")
    .filter({ hasText: /nothing was changed/ })
    .waitFor();
  await page.pictured("log-create");
  await field(page, "Name").fill("orders/eu");
  await field(page, "Name").press("Enter");
  await openedName(page, "orders/eu");
  await page.text("The log is empty");
  const { log } = (await rpc("Logs/GetLog", { name: "orders/eu" })) as { log: { settings: object } };
  assert.deepEqual(log.settings, {
    retentionBytes: String(2 ** 30),
    retentionAgeMs: String(7 * 86_400_000),
    recordBytesMax: "1024",
  });
  assert.match(await shell((await page.page.locator(".copyable code").textContent()) ?? ""), /"logId":"/);
  await page.row(0).getByText("Hello, Tailrace!").waitFor();
  await page.page.keyboard.press("p");
  const word = randomWord();
  const value = field(page, "Value");
  await value.fill(word);
  await value.press("Control+Enter");
  await page.row(1).getByText(word).waitFor();
  await value.fill("x".repeat(2000));
  await value.press("Control+Enter");
  await page.page
    .locator(".outcome .wrong")
    .filter({ hasText: /nothing was written/ })
    .waitFor();
  await page.row(1).click();
  await page.page.getByRole("heading", { name: "Record 1", exact: true }).waitFor();
  await page.until("/log=orders%2Feu.*open=1/.test(location.search)");
  await page.page.reload();
  await openedName(page, "orders/eu");
  await page.row(1).getByText(word).waitFor();
  await page.page.getByRole("heading", { name: "Record 1", exact: true }).waitFor();
  await page.pictured("log-tail");
  await button(page, "To “default”").click();
  await page.row(0).getByText(onDefault).waitFor();
  await page.until("new URLSearchParams(location.search).get('log') === null");
  page.assertClean();
});

test("a log is created with a time to live or a time of expiry, which its panel shows and changes", async () => {
  await using page = await Dashboard.open(browser, node.origin, "?view=logs");
  const [ttl, expiry] = ["Delete the log after its last append", "Delete the log at"];
  const create = page.page.getByRole("complementary").getByRole("button", { name: "Create" });
  const settingsOf = async (name: string): Promise<Record<string, string>> =>
    ((await rpc("Logs/GetLog", { name })) as { log: { settings: Record<string, string> } }).log.settings;
  await button(page, "Create").click();
  await field(page, "Name").fill("short/session");
  await field(page, ttl).fill("soon");
  await create.click();
  await page.text("a duration like 7d or 12h");
  await field(page, ttl).fill("1h 30m");
  await field(page, expiry).fill("2030-02-30");
  await create.click();
  await page.text("a date like 2030-01-31, or a time like 2030-01-31T12:00:00Z");
  await page.until(`document.activeElement.value === "2030-02-30"`);
  await page.pictured("log-expiry-create");
  await page.page.setViewportSize({ width: 360, height: 740 });
  await create.click();
  await page.pictured("log-expiry-create-narrow");
  await page.page.setViewportSize({ width: 1280, height: 800 });
  await field(page, expiry).fill("");
  await create.click();
  await openedName(page, "short/session");
  assert.deepEqual(await settingsOf("short/session"), { ttlMs: String(90 * 60_000) });
  await button(page, "Settings").click();
  await page.text("1 h 30 min after the last append");
  await page.pictured("log-expiry-panel");
  await page.page.setViewportSize({ width: 360, height: 740 });
  await page.pictured("log-expiry-panel-narrow");
  await page.page.setViewportSize({ width: 1280, height: 800 });
  await button(page, "Logs").first().click();
  await button(page, "Create").click();
  await field(page, "Name").fill("short/sale");
  await field(page, expiry).fill("2100-01-31");
  await create.click();
  await openedName(page, "short/sale");
  assert.deepEqual(await settingsOf("short/sale"), { expiresAtMs: String(Date.UTC(2100, 0, 31)) });
  await button(page, "Settings").click();
  await page.text("2100-01-31 00:00:00");
  assert.equal(await field(page, expiry).inputValue(), "2100-01-31");
  await field(page, expiry).fill("2100-02-01T06:00:00Z");
  await button(page, "Save").click();
  await page.text("2100-02-01 06:00:00");
  assert.deepEqual(await settingsOf("short/sale"), { expiresAtMs: String(Date.UTC(2100, 1, 1, 6)) });
  page.assertClean();
});

test("the list pages as it is scrolled, shows rates, and narrows to a prefix; the keyboard moves in it", async () => {
  await createLogs(Array.from({ length: 700 }, (_, at) => `bulk/${String(at).padStart(4, "0")}`));
  await using page = await Dashboard.open(browser, node.origin, "?view=logs");
  await logRow(page, "bulk/0000").waitFor();
  assert.ok((await page.page.locator("[data-log]").count()) < 60, "only the visible rows exist");
  await page.page.locator(".log-list .list-box").hover();
  for (let turn = 0; (await logRow(page, "bulk/0699").count()) === 0; turn++) {
    assert.ok(turn < 200, "the list does not reach its end");
    await page.page.mouse.wheel(0, 3000);
    await page.page.evaluate("new Promise((done) => requestAnimationFrame(done))");
  }
  await page.page.getByRole("searchbox").fill("bulk/0012");
  await page.page
    .getByTestId("log-count")
    .filter({ hasText: /^1 named/ })
    .waitFor();
  await append("bulk/0012", "first");
  await logRow(page, "bulk/0012").getByText(/\d\/s/).waitFor();
  await logRow(page, "bulk/0012")
    .getByText(/ago|now/)
    .waitFor();
  await page.page.getByRole("searchbox").fill("none");
  await page.text("No name begins with “none”");
  await page.page.getByRole("searchbox").fill("bulk/00");
  await page.page
    .getByTestId("log-count")
    .filter({ hasText: /^100 named/ })
    .waitFor();
  await page.page.keyboard.press("Escape");
  for (const key of ["j", "j", "ArrowDown", "k"]) await page.page.keyboard.press(key);
  await page.page.keyboard.press("d");
  await page.page.getByRole("heading", { name: "bulk/0001" }).waitFor();
  await page.pictured("logs");
  await page.page.keyboard.press("Enter");
  await openedName(page, "bulk/0001");
  page.assertClean();
});

test("settings are changed, the log is closed, and its deletion needs its name", async () => {
  await rpc("Logs/CreateLog", { name: "old/one", settings: { retentionAgeMs: "5400000" } });
  await append("old/one", "the only record");
  await using page = await Dashboard.open(browser, node.origin, "?log=old/one");
  await page.row(0).getByText("the only record").waitFor();
  await button(page, "Settings").click();
  await page.text("the last 1 h 30 min");
  await field(page, "Media type of the records").fill("text/ö");
  await button(page, "Save").click();
  await page.page
    .getByRole("alert")
    .filter({ hasText: /content_type/ })
    .waitFor();
  await field(page, "Media type of the records").fill("text/plain");
  await field(page, "Largest size of the log").fill("64 MiB");
  await button(page, "Save").click();
  await button(page, "Discard").waitFor({ state: "detached" });
  const { log } = (await rpc("Logs/GetLog", { name: "old/one" })) as { log: { settings: object } };
  assert.deepEqual(log.settings, {
    maxBytes: String(64 << 20),
    contentType: "text/plain",
    retentionAgeMs: "5400000",
  });
  await button(page, "Close the log…").click();
  await button(page, "Yes, close the log").click();
  await page.status("Closed");
  await page.row(0).getByText("the only record").waitFor();
  await page.pictured("log-closed");
  const remove = button(page, "Delete the log");
  assert.ok(await remove.isDisabled());
  await field(page, "Type the name of the log to confirm").fill("old/one");
  await remove.click();
  await logRow(page, "default").waitFor();
  await logRow(page, "old/one").waitFor({ state: "detached" });
  page.assertClean();
});

test("a log that is deleted and created again under a tail is not taken for the same log", async () => {
  await createLogs(["again"]);
  await append("again", "of the first log");
  await using page = await Dashboard.open(browser, node.origin, "?log=again");
  await page.row(0).getByText("of the first log").waitFor();
  await rpc("Logs/DeleteLog", { name: "again" });
  await page.status("Stopped");
  await createLogs(["again"]);
  await append("again", "of the second log");
  await page.page.getByRole("alert").getByRole("button").first().click();
  await page.row(0).getByText("of the second log").waitFor();
  await page.status("Live");
  page.assertClean();
});

test("at a width of 360 pixels the list and the panel of a log fit without horizontal scrolling", async () => {
  await createLogs(["narrow/a-name-that-is-longer-than-the-width-of-a-narrow-screen-would-allow"]);
  const options = { viewport: { width: 360, height: 740 } };
  await using page = await Dashboard.open(browser, node.origin, "?view=logs", options);
  const wide = "document.scrollingElement.scrollWidth - innerWidth";
  await page.page.getByRole("searchbox").fill("n");
  await page.page
    .getByTestId("log-count")
    .filter({ hasText: /^1 named/ })
    .waitFor();
  assert.equal(await page.page.evaluate(wide), 0);
  await page.pictured("narrow-logs");
  await button(page, /^Details of narrow/).click();
  await field(page, "Largest record").waitFor();
  assert.equal(await page.page.evaluate(wide), 0);
  await page.pictured("narrow-log");
  await button(page, "Close").click();
  await page.page.locator("[data-log]").first().click();
  await page.text("The log is empty");
  assert.equal(await page.page.evaluate(wide), 0);
  await page.pictured("narrow-log-tail");
});

test("20,000 logs are scrolled through with few rows on the page and short frames", async () => {
  const fake = new FakeNode();
  const count = 20_000;
  fake.logNames = Array.from({ length: count }, (_, at) => `log/${String(at).padStart(6, "0")}`);
  await fake.start();
  try {
    await using page = await Dashboard.open(browser, fake.origin, "?view=logs");
    await logRow(page, "log/000000").waitFor();
    await watchFrames(page.page);
    const box = page.page.locator(".log-list .list-box");
    const begun = Date.now();
    while ((await logRow(page, "log/019999").count()) === 0) {
      assert.ok(Date.now() - begun < stuckMs, "the list does not reach its end");
      await box.evaluate((element) => {
        element.scrollTop = element.scrollHeight;
      });
    }
    const frames = await framesSeen(page.page);
    console.log(
      `# ${count} logs in ${Date.now() - begun} ms, frame work p95 ${frames.workP95Ms.toFixed(1)} ms, gap p95 ${frames.gapP95Ms.toFixed(1)} ms`,
    );
    assert.ok(frames.gapMaxMs < 1000, `the page was frozen for ${frames.gapMaxMs} ms`);
    assert.ok((await page.page.locator("[data-log]").count()) < 60, "only the visible rows exist");
    await page.page.getByRole("searchbox").fill("log/0150");
    await page.page
      .getByTestId("log-count")
      .filter({ hasText: /^100 named/ })
      .waitFor();
    page.assertClean();
  } finally {
    await fake.stop();
  }
});

test("the logs of a prefix are tailed together, also one that is created later", async () => {
  await createLogs(["tailed/1", "tailed/2", "not-tailed"]);
  await using page = await Dashboard.open(browser, node.origin);
  await button(page, "Logs").click();
  await page.page.getByPlaceholder("Names that begin with…").fill("tailed/");
  await logRow(page, "tailed/2").waitFor();
  await button(page, "Tail these").click();
  await page.text("Waiting for new records…");
  const panel = page.page.getByRole("complementary", { name: "Tail of a prefix" });
  const first = randomWord();
  // The stream begins a moment after the click.
  await until(
    "a record is shown",
    async () => {
      await append("not-tailed", "hidden");
      await append("tailed/1", first);
      return (await panel.getByText(first).count()) > 0;
    },
    { everyMs: 200 },
  );
  await createLogs(["tailed/3"]);
  const later = randomWord();
  await append("tailed/3", later);
  await panel.getByText(later).waitFor();
  assert.equal(await panel.getByText("hidden").count(), 0);
  assert.match((await panel.locator("li").first().textContent()) ?? "", /^tailed\/3 0 · /);
  await page.pictured("prefix-tail");
  await panel.getByRole("button", { name: "Close" }).click();
  await panel.waitFor({ state: "detached" });
  page.assertClean();
});

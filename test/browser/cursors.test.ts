import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard } from "./support/dashboard.ts";
import { FakeNode } from "./support/fake-node.ts";
import { RealNode } from "./support/real-node.ts";

const log = "payments";
let browser: Browser;
let node: RealNode;

before(async () => {
  browser = await openBrowser();
  node = await new RealNode().start();
  await ask("PUT", `/logs/${log}`);
  for (let at = 0; at < 20; at++) await ask("POST", `/logs/${log}`, `record ${at}`);
});
after(async () => {
  await browser.close();
  await node[Symbol.asyncDispose]();
});

async function ask(method: string, path: string, body?: string): Promise<Record<string, unknown>> {
  const response = await fetch(node.origin + path, { method, ...(body !== undefined && { body }) });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${text}`);
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}
const commit = (name: string, offset: number, metadata = "") =>
  ask("PUT", `/cursors/${name}?log=${log}`, JSON.stringify({ offset, metadata }));
const stored = (name: string) => ask("GET", `/cursors/${name}?log=${log}`);

const item = (page: Dashboard, name: string) => page.page.locator(`[data-cursor="${name}"]`);
const press = (page: Dashboard, name: string, button: string): Promise<void> =>
  item(page, name).getByRole("button", { name: button, exact: true }).click();

async function openCursors(origin: string, query: string): Promise<Dashboard> {
  const page = await Dashboard.open(browser, origin, query);
  await page.page.getByRole("button", { name: "Cursors", exact: true }).click();
  return page;
}

test("the cursors of a log are listed with their lag, and moved to the start, the end and an offset", async () => {
  await commit("billing", 5, "batch-17");
  await commit("mail", 20);
  await using page = await openCursors(node.origin, `?log=${log}`);
  await item(page, "billing").getByText("15 behind").waitFor();
  await item(page, "billing").getByText("batch-17").waitFor();
  await item(page, "mail").getByText("at the end").waitFor();
  await ask("POST", `/logs/${log}`, "record 20");
  await item(page, "mail").getByText("1 behind").waitFor();
  await page.pictured("cursors");
  for (const [target, offset] of [
    ["Start", 0],
    ["End", 21],
  ] as const) {
    await press(page, "billing", "Move…");
    await press(page, "billing", target);
    await press(page, "billing", "Move");
    await item(page, "billing").getByRole("button", { name: "Move…" }).waitFor();
    const { offset: found, metadata } = await stored("billing");
    assert.deepEqual([found, metadata], [offset, "batch-17"], "a move keeps the metadata");
  }
  await press(page, "billing", "Move…");
  await item(page, "billing").getByRole("textbox").fill("22");
  await press(page, "billing", "Move");
  await item(page, "billing").getByRole("alert").filter({ hasText: "nothing was changed" }).waitFor();
  await item(page, "billing").getByRole("textbox").fill("1 2");
  await press(page, "billing", "Move");
  await item(page, "billing").getByText("9 behind").waitFor();
  await item(page, "billing").getByRole("button", { name: "Show the log at offset 12" }).click();
  await page.row(12).waitFor();
  assert.equal((await page.offsets())[0], 12);
  page.assertClean();
});

test("a cursor that another client has moved is not moved or deleted until the user has seen it", async () => {
  await commit("busy", 3);
  await using page = await openCursors(node.origin, `?log=${log}`);
  await press(page, "busy", "Move…");
  await commit("busy", 7);
  await item(page, "busy").getByRole("button", { name: "Show the log at offset 7" }).waitFor();
  await press(page, "busy", "Start");
  await press(page, "busy", "Move");
  await page.text("Another client moved it to offset 7 in the meantime. “busy” was not changed.");
  assert.equal((await stored("busy"))["offset"], 7);
  await page.page.setViewportSize({ width: 360, height: 740 });
  await page.pictured("cursors-narrow");
  await press(page, "busy", "Move");
  await item(page, "busy").getByRole("button", { name: "Show the log at offset 0" }).waitFor();
  await press(page, "busy", "Delete…");
  await commit("busy", 8);
  await press(page, "busy", "Yes, delete the cursor");
  await page.text("Another client moved it to offset 8 in the meantime.");
  await press(page, "busy", "Yes, delete the cursor");
  await item(page, "busy").waitFor({ state: "detached" });
  const gone = await fetch(`${node.origin}/cursors/busy?log=${log}`);
  assert.equal(gone.status, 404);
  page.assertClean();
});

test("the keyboard stays in the form of a cursor, and returns to the button that opened it", async () => {
  await commit("keys", 3);
  await using page = await openCursors(node.origin, `?log=${log}`);
  const focused = () =>
    page.page.evaluate(
      "document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent",
    );
  for (const [button, form] of [
    ["Move…", "Move keys"],
    ["Delete…", "Delete keys"],
  ] as const) {
    await item(page, "keys").getByRole("button", { name: button }).focus();
    await page.page.keyboard.press("Enter");
    await page.page.getByRole("form", { name: form }).waitFor();
    assert.equal(await focused(), form);
    await page.page.keyboard.press("Enter");
    await item(page, "keys").getByRole("button", { name: "Cancel" }).press("Enter");
    await item(page, "keys").getByRole("button", { name: button }).waitFor();
    assert.equal(await focused(), button);
  }
  assert.equal((await stored("keys"))["offset"], 3, "a second Enter confirms nothing");
  page.assertClean();
});

test("another log is shown with its cursors while those of the log before are still read", async () => {
  await ask("PUT", "/cursors/elsewhere", JSON.stringify({ offset: 0 }));
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let lists = 0;
  await using page = await Dashboard.open(browser, node.origin, `?log=${log}`, {
    before: async (opened) => {
      await opened.route("**/log.v1.Cursors/List", async (route) => {
        const response = await route.fetch();
        if (lists++ === 0) await held;
        await route.fulfill({ response });
      });
    },
  });
  await page.page.getByRole("button", { name: "Cursors", exact: true }).click();
  await page.text("Reading…");
  await page.page.getByRole("button", { name: "To “default”" }).click();
  await page.text("Cursors of “default”");
  release();
  await item(page, "elsewhere").waitFor();
  assert.equal(await page.page.getByRole("complementary").getByRole("alert").count(), 0);
  page.assertClean();
});

test("a hidden tab does not read the cursors", async () => {
  await commit("hidden", 3);
  await using page = await Dashboard.open(browser, node.origin, `?log=${log}`, {
    before: (opened) => opened.clock.install(),
  });
  await page.page.getByRole("button", { name: "Cursors", exact: true }).click();
  await item(page, "hidden").waitFor();
  let reads = 0;
  page.page.on("request", (request) => {
    if (request.url().endsWith("/log.v1.Cursors/List")) reads++;
  });
  const show = (state: string) =>
    page.page.evaluate(
      `Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true }), true`,
    );
  await show("hidden");
  reads = 0;
  await page.page.clock.runFor(20_000);
  await page.page.evaluate("fetch('/ui/')");
  assert.equal(reads, 0);
  await show("visible");
  await commit("hidden", 4);
  await page.page.clock.runFor(4_000);
  await item(page, "hidden").getByRole("button", { name: "Show the log at offset 4" }).waitFor();
  assert.ok(reads > 0);
});

test("a user without the permission sees the cursors, and no button that changes them", async () => {
  const fake = new FakeNode();
  await fake.start();
  try {
    fake.append("a", "b", "c");
    fake.cursors = [{ name: "reader", offset: 1n, lag: 2n, version: 4n, committedMs: BigInt(Date.now()) }];
    await using page = await openCursors(fake.origin, "");
    await item(page, "reader").getByText("2 behind").waitFor();
    await page.text("You may see the cursors of this log, but not move or delete them.");
    assert.equal(await page.page.getByRole("button", { name: /^(Move|Delete)…$/ }).count(), 0);
    fake.actions.push("cursor");
    await page.page.reload();
    await page.page.getByRole("button", { name: "Cursors", exact: true }).click();
    await page.page.getByRole("button", { name: "Move…" }).waitFor();
  } finally {
    await fake.stop();
  }
});

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { Browser } from "playwright-core";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard } from "./support/dashboard.ts";
import { FakeNode, type Value } from "./support/fake-node.ts";
import { framesSeen, watchFrames } from "./support/frames.ts";

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

const script = "<img src=x onerror=alert(1)><script>window.pwned=1</script>";
const deep = "[".repeat(200_000) + "]".repeat(200_000);
const hostile: readonly (readonly [string, Value])[] = [
  ["markup", `${script}</div></body>`],
  ["markup in JSON", JSON.stringify({ [script]: script, __proto__: { a: 1 }, url: "javascript:alert(1)" })],
  [
    "markup in key and headers",
    {
      value: Buffer.from("v"),
      key: Buffer.from(script),
      headers: [{ key: script, value: Buffer.from(script) }],
    },
  ],
  ["right-to-left override", "user\u202egnp.exe\u202c and \u2066isolated and never closed"],
  ["a line of 1 MiB", "x".repeat(1 << 20)],
  ["a megabyte without a break, of wide letters", "漢".repeat(349_000)],
  ["bytes that are not UTF-8", Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0xf0, 0x9f, 0x98, 0, 1, 2, 3])],
  ["JSON nested 200,000 deep", deep],
  [
    "an object of 50,000 members",
    JSON.stringify(Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`k${at}`, at]))),
  ],
  ["MessagePack nested deep", Buffer.alloc(60_000, 0x91)],
  ["100,000 combining marks", `a${"\u0301".repeat(100_000)}`],
  ["control characters", "\x1b[31mred\x1b[0m\r\n\0\x07"],
  [
    "500 headers",
    {
      value: Buffer.from("v"),
      headers: Array.from({ length: 500 }, (_, at) => ({ key: `h${at}`, value: Buffer.alloc(2000, 97) })),
    },
  ],
  ["an empty value", ""],
];

test("hostile records are shown as data: no markup runs, no text leaves its row, no record freezes the page", async () => {
  node.append(...hostile.map(([, record]) => record));
  await using page = await Dashboard.open(browser, node.origin);
  await page.row(hostile.length - 1).waitFor();
  await watchFrames(page.page);
  for (const [offset, [name]] of hostile.entries()) {
    await page.row(offset).click();
    await page.page.getByRole("heading", { name: `Record ${offset}`, exact: true }).waitFor();
    for (const format of ["Text", "Hex", "Base64", "MsgPack", "JSON"]) {
      await page.page.getByRole("complementary").getByRole("button", { name: format, exact: true }).click();
    }
    const more = page.page.getByRole("button", { name: "Show more" });
    if ((await more.count()) > 0) await more.first().click();
    assert.equal(await page.page.evaluate("window.pwned"), undefined, name);
  }
  const { workMaxMs, gapMaxMs } = await framesSeen(page.page);
  console.log(`# longest frame ${workMaxMs.toFixed(0)} ms, longest gap ${gapMaxMs.toFixed(0)} ms`);
  assert.ok(gapMaxMs < 5000, `the page was frozen for ${gapMaxMs} ms`);
  assert.equal(await page.page.locator("img, .line script, .line a").count(), 0);
  const line = await page.row(3).locator(".line").textContent();
  assert.doesNotMatch(line ?? "", /[\u202a-\u202e\u2066-\u2069]/);
  assert.match(line ?? "", /user\[U\+202E\]gnp/);
  const box = await page.row(10).boundingBox();
  assert.equal(box?.height, 27, "a row keeps its height");
  await page.row(1).click();
  await page.pictured("hostile");
  page.assertClean();
});

test("an expression that does not end is stopped, the page shows that, and continues", async () => {
  node.append(...Array.from({ length: 50 }, () => `${"a".repeat(60)}!`));
  await using page = await Dashboard.open(browser, node.origin, "?q=(a%2B)%2B%24&by=regex");
  await page.text(/took longer than 2 s on records 0–\d+ and was stopped/);
  await watchFrames(page.page);
  node.append("still here");
  await page.text("still here");
  const { gapMaxMs } = await framesSeen(page.page);
  assert.ok(gapMaxMs < 2000, `${gapMaxMs} ms`);
  await page.pictured("filter-stopped");
  page.assertClean();
});

test("a filter over a megabyte of records finds every match and shows their number", async () => {
  const large = (word: string): string => `${"hay ".repeat(50_000)}${word}`;
  node.append(...Array.from({ length: 40 }, (_, at) => large(at % 4 === 0 ? "needle" : "straw")));
  await using page = await Dashboard.open(browser, node.origin, "?q=needle");
  await page.page.getByTestId("matches").filter({ hasText: /^10$/ }).waitFor();
  assert.deepEqual(await page.offsets(), [0, 4, 8, 12, 16, 20, 24, 28, 32, 36]);
});

/** The dashboard in a browser: actions of a user and checks of what is on the screen. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { guard, screenshot } from "./chromium.ts";

/** Limit of every wait, in milliseconds. */
export const stuckMs = 60_000;

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Runs axe in the page, all its rules or some. Returns a line for each violated rule. */
const axeRun = (rules?: readonly string[]) => `axe.run(document, { resultTypes: ["violations"]${
  rules === undefined ? "" : `, runOnly: { type: "rule", values: ${JSON.stringify(rules)} }`
} }).then(({ violations }) =>
  violations.map(({ id, nodes }) =>
    [id, ...nodes.map(({ html, any }) => html.slice(0, 160) + " " + (any[0]?.message ?? ""))].join(" | ")))`;

/** The rules of axe whose result depends on colors. */
const colorRules = ["color-contrast", "link-in-text-block"];

export class Dashboard implements AsyncDisposable {
  readonly page: Page;
  readonly #guard: { readonly wrong: string[] };

  constructor(page: Page, origins: readonly string[]) {
    this.page = page;
    this.#guard = guard(page, origins);
  }

  /** Opens `/ui/` with this query and waits for the first paint. */
  static async open(
    browser: Browser,
    origin: string,
    query = "",
    options: BrowserContextOptions & {
      others?: readonly string[];
      before?: (page: Page) => Promise<void>;
    } = {},
  ): Promise<Dashboard> {
    const { others = [], before, ...context } = options;
    const opened = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      colorScheme: "light",
      // An animation would be drawn all the time.
      reducedMotion: "reduce",
      ...context,
    });
    const page = await opened.newPage();
    page.setDefaultTimeout(stuckMs);
    const dashboard = new Dashboard(page, [origin, ...others]);
    await before?.(page);
    await page.goto(`${origin}/ui/${query}`);
    await page.locator(".bar").waitFor();
    return dashboard;
  }

  /** Checks that no request left the origins, no script failed and no policy was violated. */
  assertClean(): void {
    assert.deepEqual(this.#guard.wrong, []);
  }

  /** A context that is closed while its page loads another document may never end, so the page is left first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.goto("about:blank").catch(() => undefined);
    await this.page.context().close();
  }

  status(text: string | RegExp): Promise<void> {
    return this.page.getByTestId("status").filter({ hasText: text }).waitFor();
  }

  /** Waits for this text anywhere on the page. */
  text(text: string | RegExp): Promise<void> {
    return this.page.getByText(text).first().waitFor();
  }

  /** Waits until a response of this RPC was received. */
  async called(method: string): Promise<void> {
    await this.until(
      `performance.getEntriesByType("resource").some((entry) => entry.name.endsWith("/${method}") && entry.responseEnd > 0)`,
    );
  }

  /** Waits until an expression is true in the page. waitForFunction evaluates text, which the page's policy forbids. */
  async until(expression: string): Promise<void> {
    for (const begun = Date.now(); (await this.page.evaluate(expression)) !== true; ) {
      assert.ok(Date.now() - begun < stuckMs, `never true: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  row(offset: number) {
    return this.page.locator(`[data-offset="${offset}"]`);
  }

  /** Returns the offsets of the rows in the window, from top to bottom. */
  offsets(): Promise<number[]> {
    return this.page
      .locator("[data-offset]")
      .evaluateAll((rows) => rows.map((row) => Number(row.getAttribute("data-offset"))));
  }

  /**
   * Pauses and scrolls up to this offset. Checks that every offset from it to the last is on the page once and in order.
   * Returns their number.
   */
  async scrollBackTo(first: number): Promise<number> {
    await this.page.getByRole("button", { name: "Pause" }).click();
    const seen = new Set<number>();
    for (let turn = 0; !seen.has(first); turn++) {
      const offsets = await this.offsets();
      for (const [at, offset] of offsets.entries()) {
        if (at > 0) assert.equal(offset, (offsets[at - 1] as number) + 1, "rows are contiguous");
        seen.add(offset);
      }
      assert.ok(turn < 400, "the list does not scroll");
      await this.page.locator(".list-box").evaluate((box) => box.scrollBy(0, -400));
      // Two steps without a drawing between them would pass rows that were never on the page.
      await this.page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))",
      );
    }
    const last = Math.max(...seen);
    assert.equal(seen.size, last - first + 1, "every offset from the first to the last was on the page");
    return seen.size;
  }

  /** Fails on violations that axe finds in either color scheme, and takes screenshots if they are wanted. */
  async pictured(name: string): Promise<void> {
    for (const colorScheme of ["light", "dark"] as const) {
      await this.page.emulateMedia({ colorScheme });
      await screenshot(this.page, `${name}-${colorScheme}`);
      await this.assertAccessible(`${name}, ${colorScheme}`, colorScheme === "dark" ? colorRules : undefined);
    }
    await this.page.emulateMedia({ colorScheme: "light" });
  }

  async assertAccessible(where: string, rules?: readonly string[]): Promise<void> {
    if ((await this.page.evaluate("typeof axe")) === "undefined") await this.page.evaluate(axeSource);
    const found = (await this.page.evaluate(axeRun(rules))) as string[];
    assert.deepEqual(found, [], where);
  }
}

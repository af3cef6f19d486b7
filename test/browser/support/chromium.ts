/** A real Chromium: an installed one, or else the one of the npm packages. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import packaged from "@sparticuz/chromium";
import { type Browser, chromium, type Page } from "playwright-core";

const installed = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function openBrowser(): Promise<Browser> {
  const executablePath = installed.find((path) => existsSync(path)) ?? (await packaged.executablePath());
  return chromium.launch({ executablePath, args, headless: true });
}

const screenshots = join(dirname(fileURLToPath(import.meta.url)), "../../screenshots");

/** With TAILRACE_SCREENSHOTS=yes: takes a screenshot for a reader. No test compares it. */
export async function screenshot(page: Page, name: string): Promise<void> {
  if (process.env["TAILRACE_SCREENSHOTS"] !== "yes") return;
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`) });
}

/** Reports each request that leaves the given origins, and each error of the page. */
export function guard(page: Page, origins: readonly string[]): { readonly wrong: string[] } {
  const wrong: string[] = [];
  page.on("request", (request) => {
    const url = request.url();
    if (!origins.some((origin) => url.startsWith(`${origin}/`)) && !url.startsWith("data:"))
      wrong.push(`request to ${url}`);
  });
  page.on("pageerror", (error) => wrong.push(`page error: ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    if (/Content.Security.Policy/i.test(message.text())) wrong.push(message.text());
  });
  return { wrong };
}

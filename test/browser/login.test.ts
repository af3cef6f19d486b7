/** Login at the dashboard in a real browser: with a real OpenID provider, and with a token. The node requires a credential. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { OpenIdProvider, providerClient } from "../support/tokens/openid-provider.ts";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard } from "./support/dashboard.ts";
import { RealNode } from "./support/real-node.ts";

const bin = join(dirname(fileURLToPath(import.meta.url)), "../../src/cli/bin.cjs");
let browser: Browser;
let node: RealNode;
let provider: OpenIdProvider;
let file: (name: string) => string;

const tailrace = (...args: string[]): string =>
  execFileSync(process.execPath, [bin, ...args], { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });

before(async () => {
  browser = await openBrowser();
  provider = await OpenIdProvider.open();
  node = new RealNode(["--client-auth", "token"]);
  file = (name) => join(node.directory, name);
  tailrace("certs", "--out", node.directory, "--host", "127.0.0.1");
  const rules = ["produce", "consume", "describe"].map((action) => `p, oidc:alice, *, ${action}`);
  writeFileSync(file("policy.csv"), [...rules, "p, root, *, *", "p, carol, *, consume", ""].join("\n"));
  writeFileSync(file("secret"), providerClient.secret);
  const tls = { cert: "server.pem", key: "server-key.pem", ca: "ca.pem" };
  for (const [part, name] of Object.entries(tls)) node.flags.push(`--server-tls-${part}-file`, file(name));
  node.flags.push("--acl-policy-file", file("policy.csv"));
  node.flags.push("--oidc-issuer", provider.issuer, "--oidc-audience", providerClient.id);
  node.flags.push("--oidc-client-id", providerClient.id, "--oidc-client-secret-file", file("secret"));
  await node.start();
  provider.serve([`${node.origin}/login/callback`]);
});
after(async () => {
  await browser.close();
  await node[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
});

/** Checks that the bar says to the minute when the session ends, and that it is the end of the cookie. */
async function untilEnd({ page }: Dashboard): Promise<void> {
  const text = await page.getByTestId("until").innerText();
  const { expires } = (await page.context().cookies(node.origin)).find(({ name }) =>
    /-session/.test(name),
  ) ?? {
    expires: 0,
  };
  // Without the date it is today. The page measures from before it asked, so it can be a minute less.
  const near = [0, 60].map((less) => new Date((expires - less) * 1000).toISOString().replace("T", " "));
  const [, date = new Date().toISOString().slice(0, 10), time] =
    /until (?:(\d{4}-\d\d-\d\d) )?(\d\d:\d\d) UTC$/.exec(text) ?? [];
  assert.ok(near.map((at) => at.slice(0, 16)).includes(`${date} ${time}`), `${text}, not ${near[0]}`);
}

/** The pages of the provider ask for fonts, which are not fetched. */
const fonts = "https://fonts.googleapis.com";

const open = (query = ""): Promise<Dashboard> =>
  Dashboard.open(browser, node.origin, query, {
    ignoreHTTPSErrors: true,
    others: [provider.issuer, fonts],
    before: async (page) => {
      await page.route(`${fonts}/**`, (route) => route.abort());
    },
  });

async function logInWithProvider({ page }: Dashboard): Promise<void> {
  await page.getByRole("link", { name: "Log in with" }).click();
  await page.locator('input[name="login"]').fill("alice");
  await page.locator('input[name="password"]').fill("any");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator(".bar").waitFor();
}

test("a user logs in with the provider, appends, tails, loads the page again, and logs out", async () => {
  await using dashboard = await open("?time=utc");
  const { page } = dashboard;
  await dashboard.text("Log in");
  await dashboard.text(/a client certificate is required, or a token/);
  await dashboard.pictured("login");
  provider.idTokenS = 290;
  await logInWithProvider(dashboard);
  await dashboard.text("oidc:alice");
  await dashboard.text("The log is empty");
  assert.match(page.url(), /\/ui\/\?.*time=utc/, "the place is kept");
  await untilEnd(dashboard);
  await dashboard.text(/Your session ends at \d\d:\d\d UTC/);
  provider.idTokenS = 3_600;
  await page.getByRole("link", { name: "Log in again" }).click();
  await page.getByRole("link", { name: "Log in again" }).waitFor({ state: "detached" });
  await page.getByTestId("until").waitFor();
  assert.match(page.url(), /\/ui\/\?.*time=utc/, "the place is kept by a login before the end, too");
  await untilEnd(dashboard);
  await page.keyboard.press("?");
  await dashboard.text(/You may produce, consume, describe\. Your session ends at/);
  await page.keyboard.press("Escape");

  await page.keyboard.press("p");
  await page.getByRole("textbox", { name: "Value", exact: true }).fill("by alice");
  await page.keyboard.press("Control+Enter");
  await dashboard.row(0).getByText("by alice").waitFor();
  await page.reload();
  await dashboard.row(0).getByText("by alice").waitFor();
  await dashboard.text("oidc:alice");

  assert.equal(await page.evaluate("document.cookie"), "", "no script can read the session");
  const cookies = (await page.context().cookies(node.origin)).filter(({ name }) => /tailrace-/.test(name));
  assert.deepEqual(
    cookies
      .map(({ name, httpOnly, secure, sameSite }) => [
        name.replace(/-\w{8}$/, ""),
        httpOnly,
        secure,
        sameSite,
      ])
      .sort(),
    [["__Host-tailrace-session", true, true, "Strict"]],
  );
  // A page of another origin can neither read nor write with the session.
  const other = await page.context().newPage();
  await other.goto(`${provider.issuer}/.well-known/openid-configuration`);
  const attempt = (path: string, init: string): Promise<unknown> =>
    other.evaluate(
      `fetch(${JSON.stringify(`${node.origin}${path}`)}, ${init}).then((r) => r.type + r.status, () => "failed")`,
    );
  const forged = `{ method: "POST", body: "forged", credentials: "include", headers: { "content-type": "text/plain" } }`;
  assert.equal(await attempt("/logs/default", forged), "failed");
  assert.equal(await attempt("/logs/default", forged.replace("{", '{ mode: "no-cors",')), "opaque0");
  assert.equal(await attempt("/logout", forged.replace("{", '{ mode: "no-cors",')), "opaque0");
  assert.equal(await attempt("/tail?from=start", `{ credentials: "include" }`), "failed");
  await other.close();

  const source = `new Promise((done) => {
    const events = new EventSource("/tail?from=start");
    events.onmessage = ({ lastEventId }) => { events.close(); done(lastEventId); };
  })`;
  assert.equal(await page.evaluate(source), "0", "an EventSource has the session, and nothing was forged");
  await page.route("**/logout", (route) => route.abort(), { times: 1 });
  await page.getByRole("button", { name: "Log out" }).click();
  await dashboard.text(/The logout failed/);
  await page.getByRole("button", { name: "Log out" }).click();
  await dashboard.text("Log in with this token");
  assert.deepEqual(
    (await page.context().cookies(node.origin)).filter(({ name }) => /-session/.test(name)),
    [],
  );
  dashboard.assertClean();
});

test("a user logs in with a token; when it is revoked, the page says so and shows the login", async () => {
  const key = file("token-key.json");
  const certificate = ["--tls-ca-file", file("ca.pem"), "--tls-cert-file", file("root-client.pem")];
  const root = ["--addr", node.address.replace(/^.*:/, "127.0.0.1:"), ...certificate];
  root.push("--tls-key-file", file("root-client-key.pem"));
  tailrace("token", "keys", "rotate", "--key-file", key, ...root);
  const token = tailrace(
    "token",
    "issue",
    "--subject",
    "carol",
    "--expires",
    "290s",
    "--key-file",
    key,
  ).trim();
  await using dashboard = await open();
  const { page } = dashboard;
  await page.getByLabel("Token").fill("x.y.z");
  await page.getByRole("button", { name: "Log in with this token" }).click();
  await dashboard.text(/not a JWT/);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in with this token" }).click();
  await dashboard.status("Live");
  await dashboard.text("carol");
  await dashboard.text("Your session ends at");
  await page.getByRole("button", { name: "Log in again" }).click();
  await page.getByRole("button", { name: "Go on as carol" }).click();
  await dashboard.status("Live");
  tailrace("token", "revoke", "--subject", "carol", ...root);
  await dashboard.text(/are revoked/);
  await page.getByRole("button", { name: "Go on without the session that has ended" }).click();
  await dashboard.text(/a client certificate is required, or a token/);
  assert.deepEqual(await page.context().cookies(node.origin), [], "the cookie is removed");
  dashboard.assertClean();
});

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openIssuer } from "../../../../src/agent/tokens/open-issuer.ts";
import { Fault } from "../../../../src/fault.ts";
import { noLogger } from "../../../../src/lib/telemetry.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { scratch } from "../../../support/scratch.ts";
import { issuerKey, TestIssuer } from "../../../support/tokens/test-issuer.ts";

/** A server that answers with the text of a path, or by the function. */
async function site(t: TestContext, pages: Map<string, string | ((response: ServerResponse) => void)>) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    const page = pages.get(request.url ?? "");
    if (typeof page === "function") page(response);
    else response.writeHead(page === undefined ? 404 : 200).end(page);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const options = (config: Partial<Parameters<typeof openIssuer>[0]["config"]>) => ({
  config: {
    oidcIssuer: undefined,
    oidcAudience: ["tailrace"],
    jwksFile: undefined,
    oidcSubjectClaim: "sub",
    oidcScopeClaim: undefined,
    ...config,
  },
  onChange: () => {},
  clock: systemClock,
  logger: noLogger,
});

const outcome = (work: Promise<unknown> | undefined): Promise<string> =>
  (work ?? Promise.reject(new Error("there is no issuer"))).then(
    () => "taken",
    (reason) => `${Fault.from(reason).kind}: ${Fault.from(reason).message}`,
  );

test("the keys are those of the issuer's configuration, and the issuer is asked when its first token comes", async (t) => {
  const pages = new Map();
  const { url, asked } = await site(t, pages);
  const configuration = "/.well-known/openid-configuration";
  const { published } = new TestIssuer();
  const [key] = published;
  const header = { alg: "ES256", kid: key!.kid };
  const token = await new TestIssuer().sign({ key: key!, claims: { iss: url } });
  const open = async () => (await openIssuer(options({ oidcIssuer: url }))).tokens;
  const verify = async () => outcome((await open())?.verify(token, header, Date.now()));

  await open();
  assert.equal(asked.length, 0);
  assert.match(await verify(), /^unavailable: .* answers with status 404/);
  pages.set(configuration, "<html>");
  assert.match(await verify(), /^unavailable: .* is not JSON/);
  pages.set(configuration, JSON.stringify({ issuer: `${url}/other`, jwks_uri: `${url}/keys` }));
  assert.match(await verify(), /^unavailable: .* is that of another issuer/);
  pages.set(configuration, JSON.stringify({ issuer: url, jwks_uri: "file:///etc/passwd" }));
  assert.match(await verify(), /^unavailable: .* names no URL of keys/);
  pages.set(configuration, JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` }));
  pages.set("/keys", (response: ServerResponse) => response.writeHead(302, { location: "/elsewhere" }).end());
  assert.match(await verify(), /^unavailable: .*\/keys: /, "a redirect is not followed");
  assert.ok(!asked.includes("/elsewhere"));
  pages.set("/keys", (response: ServerResponse) => response.end("x".repeat(300_000)));
  assert.match(await verify(), /^unavailable: .* more than 262144 bytes/);
  pages.set("/keys", JSON.stringify({ keys: [key!.publicJwk] }));
  assert.equal(await verify(), "taken");
});

test("a file of keys is read at the start and again when it changes; an invalid one changes nothing", async (t) => {
  const file = join(scratch(t), "keys.json");
  const config = { oidcIssuer: "https://login.example.org/realm", jwksFile: file };
  await assert.rejects(openIssuer(options(config)), /--jwks-file .*ENOENT|--jwks-file .*no such file/i);
  writeFileSync(file, "{}");
  await assert.rejects(openIssuer(options(config)), /--jwks-file .*no list of keys/);
  const issuer = new TestIssuer();
  const write = (): void =>
    writeFileSync(file, JSON.stringify({ keys: issuer.published.map(({ publicJwk }) => publicJwk) }));
  write();
  let changes = 0;
  using opened = await openIssuer({ ...options(config), onChange: () => changes++ });
  assert.equal(changes, 1);
  const verify = async (kid: string) =>
    outcome(opened.tokens?.verify(await issuer.sign(), { alg: "ES256", kid }, Date.now()));
  assert.equal(await verify("k1"), "taken");
  const changed = async (): Promise<void> => {
    for (const before = changes, begun = performance.now(); changes === before; ) {
      assert.ok(performance.now() - begun < 30_000, "the change of the file is not seen");
      await new Promise((done) => setTimeout(done, 20));
    }
  };
  issuer.published = [issuerKey("k2")];
  write();
  await changed();
  assert.equal(await verify("k2"), "taken");
  assert.match(await verify("k1"), /^unauthenticated/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { issue } from "../../../../src/cli/certs/build.ts";
import { cfsslDefaults, readRequest } from "../../../../src/cli/certs/cfssl.ts";
import { noMetrics } from "../../../../src/lib/telemetry.ts";
import { CertificateValidity } from "../../../../src/server/tls/certificate-validity.ts";
import { NodeTls } from "../../../../src/server/tls/node-tls.ts";
import { logLines } from "../../../support/log/log-lines.ts";
import { testAuthority, writeTlsFiles } from "../../../support/process/certificates.ts";
import { scratch } from "../../../support/scratch.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const authority = await testAuthority();

test("the validity is reported at the start and every day, as a warning in the last 30 days", () => {
  const dayMs = 24 * 3_600_000;
  const time = new VirtualTime();
  const clock = time.clock({ startMs: 0 });
  const { log, lines } = logLines();
  const begins = new Date(0);
  const expires = new Date(31 * dayMs);
  using validity = new CertificateValidity({
    ...{ log, clock, metrics: noMetrics },
    inUse: () => [{ use: "server", subject: "CN=server", begins, expires }],
  });
  validity.report();
  assert.equal(lines.length, 0);
  for (let day = 1; day <= 31; day++) {
    time.step();
    assert.equal(lines.at(-1)?.level, day === 1 ? undefined : day < 31 ? "warn" : "error", `day ${day}`);
  }
  assert.equal(lines.length, 30);
});

test("a certificate that expires soon is logged", async (t) => {
  const directory = scratch(t);
  const { log, lines } = logLines();
  const request = readRequest(cfsslDefaults["server-csr.json"], "server-csr.json");
  const short = await issue(
    authority.issued,
    request,
    { expiryMs: 3_600_000, usages: ["signing"] },
    new Date(),
  );
  using tls = new NodeTls({
    server: writeTlsFiles(directory, "short", short, authority.issued),
    clientAuth: "require",
    log,
  });
  assert.ok(lines.some(({ level, message }) => level === "warn" && /expires soon/.test(message)));
  assert.match(tls.certificates()[0]?.subject ?? "", /CN=server/);
});

test("a certificate that is not valid is logged as an error and is the reason why the node is not ready", async (t) => {
  const directory = scratch(t);
  const request = readRequest(cfsslDefaults["server-csr.json"], "server-csr.json");
  const dayMs = 24 * 3_600_000;
  const profile = { expiryMs: 3_600_000, usages: ["signing"] };
  for (const [agoMs, line, problem] of [
    [dayMs / 2, /certificate has expired/, /^the server certificate expired on 20/],
    [-dayMs, /certificate is not valid yet/, /^the server certificate is not valid until 20/],
  ] as const) {
    const { log, lines } = logLines();
    const pair = await issue(authority.issued, request, profile, new Date(Date.now() - agoMs));
    using tls = new NodeTls({
      server: writeTlsFiles(directory, "dated", pair, authority.issued),
      clientAuth: "require",
      log,
    });
    assert.match(lines.find(({ level }) => level === "error")?.message ?? "", line);
    assert.match(tls.problem ?? "", problem);
    writeTlsFiles(directory, "dated", await authority.node(), authority.issued);
    assert.equal(tls.reload(), true);
    assert.equal(tls.problem, undefined);
  }
});

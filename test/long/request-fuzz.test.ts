/**
 * Random requests and connections, cut at any byte, against a running node, in plaintext and over TLS. TAILRACE_FUZZ_CASES
 * sets the length of the run, TAILRACE_FUZZ_SEED the seed.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { testAuthority, writeTlsFiles } from "../support/process/certificates.ts";
import { type NodeProcess, startNode } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import {
  boundaryLines,
  descriptors,
  type FuzzTarget,
  fuzzRequests,
  isServed,
  residentBytes,
} from "../wire/hostile/request-fuzz.ts";

const casesMax = Number(process.env["TAILRACE_FUZZ_CASES"] ?? 150_000);
/** A tenth of the usual rate. */
const secondsMax = casesMax / 1000;
const seed = process.env["TAILRACE_FUZZ_SEED"] ?? "requests";
/** Allowed growth of a warm process. Without a forced collection, a million cases took about 130 MB. */
const growthBytesMax = 128 * 1024 * 1024;

async function run(
  node: NodeProcess,
  target: FuzzTarget,
  cases: number,
  check: () => Promise<void>,
): Promise<void> {
  const idle = descriptors(node.pid);
  /** Waits until all cut connections are closed. An unfinished handshake may take until its timeout. */
  const settled = async (): Promise<number> => {
    for (let tries = 0; descriptors(node.pid) > idle + 2; tries++) {
      assert.ok(tries < 60, `${descriptors(node.pid)} descriptors are open, ${idle} before`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    return residentBytes(node.pid);
  };
  const part = { secondsMax: 2 * secondsMax, check };
  const warming = await fuzzRequests(target, { ...part, seed: `${seed}/warm`, casesMax: cases / 2 });
  const warm = await settled();
  const report = await fuzzRequests(target, { ...part, seed: `${seed}/run`, casesMax: cases });
  const end = await settled();
  console.log(JSON.stringify({ ...report, warmedBy: warming.cases, warm, end }));
  assert.equal(node.child.exitCode, null, "the process goes on");
  assert.deepEqual(boundaryLines(node.log()), [], "no boundary had to hold anything back");
  assert.ok(report.receivedBytes > 0);
  assert.ok(end - warm < growthBytesMax, `${end - warm} bytes more`);
}

test("malformed and cut requests of every kind end no process and leave no resource behind", {
  timeout: 4 * secondsMax * 1000 + 60_000,
}, async (t) => {
  const node = await startNode(t, [
    "--data-dir",
    join(scratch(t), "data"),
    "--ops-addr",
    "127.0.0.1:0",
    "--log-level",
    "error",
  ]);
  await run(node, { port: Number(node.addr.split(":")[1]) }, casesMax, () => isServed(node.url));
});

test("malformed and cut requests over TLS end no process and leave no resource behind", {
  timeout: 4 * secondsMax * 1000 + 60_000,
}, async (t) => {
  const directory = scratch(t);
  const authority = await testAuthority();
  const files = writeTlsFiles(directory, "server", await authority.node(), authority.issued);
  const client = await authority.client("root");
  const node = await startNode(t, [
    ...["--data-dir", join(directory, "data"), "--ops-addr", "127.0.0.1:0", "--log-level", "error"],
    ...["--server-tls-cert-file", files.certFile, "--server-tls-key-file", files.keyFile],
    ...["--server-tls-ca-file", files.caFile],
  ]);
  const tls = {
    ca: Buffer.from(authority.issued.certificatePem),
    cert: Buffer.from(client.certificatePem),
    key: Buffer.from(client.keyPem),
  };
  const port = Number(node.addr.split(":")[1]);
  await run(node, { port, tls }, casesMax / 5, async () => assert.equal(node.child.exitCode, null));
});

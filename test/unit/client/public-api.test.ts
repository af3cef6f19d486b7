import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { openClient } from "../../../src/client/mod.ts";
import { Fault } from "../../../src/fault.ts";
import { ended, root } from "../../support/process/process.ts";

/** Runs a module in the repository, where the package can import itself by its name. */
const run = (code: string) =>
  ended(spawn(process.execPath, ["--conditions=source", "--input-type=module", "-e", code], { cwd: root }));

test("the package exports the client for Node.js and for browsers", async () => {
  for (const name of ["tailrace/client", "tailrace/client/browser"]) {
    const { out, err } = await run(
      `const client = await import("${name}"); console.log(typeof client.openClient, typeof client.recordsOf)`,
    );
    assert.deepEqual([out, err], ["function function\n", ""], name);
  }
  const { out: kind } = await run(
    'const { clientInterceptor } = await import("tailrace/telemetry"); console.log(typeof clientInterceptor())',
  );
  assert.equal(kind, "function\n");
  const { err } = await run('await import("tailrace/src/client/calls/caller.ts")');
  assert.match(err, /ERR_PACKAGE_PATH_NOT_EXPORTED/);
});

test("an invalid address is rejected before anything is opened", () => {
  for (const addr of [
    "",
    "host",
    ":80",
    "host:",
    "http://host:80",
    "host:99999",
    "host:80/path",
    "me@host:80",
  ]) {
    const isConfig = (reason: unknown) => reason instanceof Fault && reason.kind === "config";
    assert.throws(() => openClient({ addrs: ["127.0.0.1:80", addr] }), isConfig, addr);
  }
  for (const addr of ["host:1", "127.0.0.1:80", "[::1]:8080"]) openClient({ addr })[Symbol.dispose]();
});

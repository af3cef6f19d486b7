/** The output and the exit status of `tailrace certs`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { register } from "../../../../../src/cli/commands/node/certs.ts";
import { scratch } from "../../../../support/scratch.ts";

async function certs(
  t: { mock: typeof test.mock },
  ...words: string[]
): Promise<{ out: string[]; err: string; status: number }> {
  const out: string[] = [];
  const err: string[] = [];
  const log = t.mock.method(console, "log", (line: string) => out.push(line));
  const error = t.mock.method(console, "error", (line: string) => err.push(line));
  const program = new Command();
  register(program);
  try {
    await program.parseAsync(["certs", ...words], { from: "user" });
    return { out, err: err.join("\n"), status: Number(process.exitCode ?? 0) };
  } finally {
    process.exitCode = 0;
    log.mock.restore();
    error.mock.restore();
  }
}

test("certs prints each file with its expiry and the next steps, and replaces nothing on the second run", async (t) => {
  const out = scratch(t);
  const first = await certs(t, "--out", out, "--host", "a.example", "--host", "b.example");
  assert.equal(first.status, 0);
  assert.equal(first.out.length, 9);
  assert.equal(
    first.out.filter((line) => /^made .*server\.pem .*CN=server {2}expires \d{4}-\d\d-\d\d$/.test(line))
      .length,
    1,
  );
  assert.match(first.err, /--server-tls-cert-file .*server\.pem/);

  const second = await certs(t, "--out", out);
  assert.equal(second.status, 1);
  assert.deepEqual(second.out, []);
  assert.match(second.err, /^tailrace certs: certificates are there .*--force/);

  const third = await certs(t, "--out", out, "--issue", "alice");
  assert.equal(third.status, 0);
  assert.equal(third.out.filter((line) => line.startsWith("made")).length, 2);
});

/** The output and the exit status of `tailrace acl check`. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { register } from "../../../../../src/cli/commands/node/acl.ts";
import { scratch } from "../../../../support/scratch.ts";

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

async function check(
  t: { readonly mock: typeof test.mock },
  ...words: string[]
): Promise<{ out: string; status: number }> {
  const lines: string[] = [];
  const out = t.mock.method(console, "log", (line: string) => lines.push(line));
  const err = t.mock.method(console, "error", (line: string) => lines.push(line));
  const program = new Command();
  register(program);
  try {
    await program.parseAsync(["acl", "check", ...words], { from: "user" });
    return { out: lines.join("\n"), status: Number(process.exitCode ?? 0) };
  } finally {
    process.exitCode = 0;
    out.mock.restore();
    err.mock.restore();
  }
}

test("acl check prints the rule that allows and exits with 0", async (t) => {
  const { out, status } = await check(
    t,
    "root",
    "*",
    "produce",
    "--acl-policy-file",
    file("../../../access/data/book-policy.csv"),
  );
  assert.equal(out, 'allowed: "root" produce "*": book-policy.csv:1: p, root, *, produce');
  assert.equal(status, 0);
});

test("acl check exits with 4 for a denial", async (t) => {
  const { out, status } = await check(
    t,
    "nobody",
    "*",
    "produce",
    "--acl-policy-file",
    file("../../../access/data/book-policy.csv"),
    "--json",
  );
  assert.deepEqual(JSON.parse(out), {
    subject: "nobody",
    object: "*",
    action: "produce",
    allowed: false,
    because: "no rule of book-policy.csv allows it",
  });
  assert.equal(status, 4);
});

test("without a policy the built-in rules decide, also for the certificate of a node", async (t) => {
  assert.equal((await check(t, "server", "*", "peer")).status, 4);
  assert.equal((await check(t, "server", "*", "peer", "--node-certificate")).status, 0);
});

test("the log default is what every log is: a rule that names it allows nothing", async (t) => {
  const directory = scratch(t);
  const policy = join(directory, "policy.csv");
  writeFileSync(policy, "p, ann, default, produce\np, bob, *, produce\n");
  const asked = (who: string) => check(t, who, "default", "produce", "--acl-policy-file", policy);
  assert.deepEqual([(await asked("ann")).status, (await asked("bob")).status], [4, 0]);
});

test("an unknown action is a usage error that lists the actions", async (t) => {
  const { out, status } = await check(t, "root", "*", "destroy");
  assert.match(out, /the action must be one of produce, consume, .*, not "destroy"/);
  assert.equal(status, 2);
});

test("a policy that cannot be read is reported in one line with exit status 1", async (t) => {
  const { out, status } = await check(t, "root", "*", "produce", "--acl-policy-file", "no-such-file.csv");
  assert.equal(
    out,
    "tailrace acl: --acl-policy-file no-such-file.csv cannot be read: no such file or directory",
  );
  assert.equal(status, 1);
});

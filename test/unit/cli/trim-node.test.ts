/** What the installation does with the Node.js of the package. test/long/install.test.ts shortens a real one. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { scratch } from "../../support/scratch.ts";

const { trim } = createRequire(import.meta.url)("../../../src/cli/trim-node.cjs") as {
  trim(node: { readonly folder: string; readonly program: string; readonly version: string }): void;
};

const onLinux = { skip: process.platform !== "linux" };

test(
  "a program that does not print the version of the package is kept, and no copies are left",
  onLinux,
  (t) => {
    const folder = scratch(t);
    const program = join(folder, "bin/node");
    mkdirSync(join(folder, "bin"));
    mkdirSync(join(folder, "include"));
    copyFileSync("/bin/true", program);
    const before = readFileSync(program);
    writeFileSync(`${program}.999999999`, "of a process that was killed");
    writeFileSync(`${program}.${process.ppid}`, "of a process that runs");
    writeFileSync(`${program}.old`, "of the user");
    assert.throws(
      () => trim({ folder, program, version: "26.10.0" }),
      /does not run as v26\.10\.0: status 0, ""/,
    );
    assert.ok(before.equals(readFileSync(program)));
    assert.deepEqual(readdirSync(folder), ["bin"]);
    assert.deepEqual(
      readdirSync(join(folder, "bin")).sort(),
      ["node", "node.old", `node.${process.ppid}`].sort(),
    );
  },
);

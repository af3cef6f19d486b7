/** Standard output depends on the terminal for records only, and --help says which commands print JSON. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { commandFiles } from "../../../../src/cli/commands.ts";
import { outputRule } from "../../../../src/cli/output/output-rule.ts";

const folder = join(import.meta.dirname, "../../../../src/cli/commands");

test("no command looks whether standard output is a terminal", () => {
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts")) continue;
    assert.doesNotMatch(readFileSync(join(folder, file), "utf8"), /stdout\.isTTY/, file);
  }
});

test("the rule in the help names existing commands", () => {
  const names = /\(([^)]*)\)/.exec(outputRule)?.[1]?.split(/,\s+/) ?? [];
  assert.ok(names.length > 5);
  for (const name of names) assert.ok(name in commandFiles, name);
});

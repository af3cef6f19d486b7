/** The help of every command has examples with existing flags. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Command } from "commander";
import { serveFlags } from "../../../src/agent/mod.ts";
import { commandFiles } from "../../../src/cli/commands.ts";
import { examples } from "../../../src/cli/examples.ts";

const program = new Command("tailrace");
for (const load of Object.values(commandFiles)) (await load()).register(program);

/** The command and its subcommands, by their names. */
function* commands(command: Command, above = ""): Generator<readonly [string, Command]> {
  const words = `${above} ${command.name()}`.trim();
  yield [words, command];
  for (const inner of command.commands) yield* commands(inner, words);
}

const all = new Map(program.commands.flatMap((command) => [...commands(command)]));

test("every command has examples, and every example belongs to a command", () => {
  assert.deepEqual([...all.keys()].sort(), Object.keys(examples).sort());
});

test("the flags of the examples exist", () => {
  const wrong: string[] = [];
  for (const [words, lines] of Object.entries(examples)) {
    const options = [...commands(all.get(words)!)].flatMap(([, { options: found }]) =>
      found.map(({ long }) => long),
    );
    const known = [...options, ...(words === "serve" || words.startsWith("config") ? serveFlags : [])];
    for (const line of lines) {
      assert.match(line, new RegExp(`tailrace ${words}\\b`));
      for (const [flag] of line.matchAll(/--[a-z][a-z-]+/g)) {
        if (!known.includes(flag)) wrong.push(`${line}: ${flag}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test("a node answers the query in the examples", () => {
  const answered = readFileSync(
    new URL("../../../src/agent/gossip/status-query.ts", import.meta.url),
    "utf8",
  );
  for (const line of examples["query"] ?? []) {
    const [, , name = ""] = line.split(" ");
    assert.ok(answered.includes(`"${name}"`), line);
  }
});

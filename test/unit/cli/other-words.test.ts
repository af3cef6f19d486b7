import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { commandFiles } from "../../../src/cli/commands.ts";
import { meantBy, meantByFlag, otherFlags } from "../../../src/cli/other-words.ts";

const program = new Command("tailrace");
for (const load of Object.values(commandFiles)) (await load()).register(program);
function subcommandsOf(words: string): string[] {
  const parent =
    words === "tailrace" ? program : program.commands.find((one) => `tailrace ${one.name()}` === words);
  return parent!.commands.map((command) => command.name());
}

test("a word of another program is answered with a command that exists, and a name of a command with none", () => {
  assert.equal(meantBy("tailrace logs", "set"), "tailrace logs update NAME");
  assert.equal(meantBy("tailrace", "Publish"), "tailrace produce");
  assert.equal(meantBy("tailrace", "qwerty"), undefined);
  assert.equal(meantBy("tailrace keygen", "set"), undefined);
  const typed = [
    "start",
    "append",
    "read",
    "follow",
    "topics",
    "info",
    "health",
    "nodes",
    "join",
    "check",
    "dump",
    "tls",
    "list",
    "create",
    "delete",
    "truncate",
  ];
  for (const word of typed) {
    const [, command = ""] = (meantBy("tailrace", word) ?? "").split(/[ ,]/);
    assert.ok(subcommandsOf("tailrace").includes(command), word);
  }
  for (const words of ["tailrace", "tailrace logs"])
    for (const name of subcommandsOf(words))
      assert.equal(meantBy(words, name), undefined, `${words} ${name}`);
});

test("a flag of another program is answered with flags that exist, and a flag of the command with none", () => {
  assert.equal(meantByFlag("tailrace consume", "--offset"), "--from OFFSET");
  assert.equal(meantByFlag("tailrace consume", "--qwerty"), undefined);
  assert.equal(meantByFlag("tailrace keygen", "--since"), undefined);
  for (const [words, entries] of Object.entries(otherFlags)) {
    const path = words.split(" ").slice(1);
    const command = path.reduce((above, name) => above.commands.find((one) => one.name() === name)!, program);
    const own = command.options.flatMap(({ long, short }) => [long, short]);
    for (const [typed, meant] of entries) {
      for (const flag of typed) assert.ok(!own.includes(flag), `${words} ${flag}`);
      const [first] = meant.split(/[ ,;]/);
      if (first?.startsWith("-")) assert.ok(own.includes(first), `${words}: ${meant}`);
    }
  }
});

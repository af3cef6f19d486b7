import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { commandFiles } from "../../../src/cli/commands.ts";
import { meantBy } from "../../../src/cli/other-words.ts";

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
  ];
  for (const word of typed) {
    const [, command = ""] = (meantBy("tailrace", word) ?? "").split(/[ ,]/);
    assert.ok(subcommandsOf("tailrace").includes(command), word);
  }
  for (const words of ["tailrace", "tailrace logs"])
    for (const name of subcommandsOf(words))
      assert.equal(meantBy(words, name), undefined, `${words} ${name}`);
});

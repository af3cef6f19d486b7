import assert from "node:assert/strict";
import { test } from "node:test";
import { rowLines } from "../../../../../src/cli/commands/storage/verify.ts";

test("the names of logs that differ are printed without control characters, and at most 20 logs are listed", () => {
  const name = "a\u001b[2K\u202eb";
  const fields = [{ field: "name" as const, expected: "a", found: name }];
  const differences = [
    { kind: "changed" as const, id: 1, name, fields },
    ...Array.from({ length: 30 }, (_, at) => ({
      kind: "damaged" as const,
      id: at + 2,
      name: undefined,
      fields: [],
    })),
  ];
  const lines = rowLines({ different: 31, differences });
  assert.match(lines[0] ?? "", /^log a\\u\{1b\}\[2K\\u\{202e\}b number=1 changed name=/);
  assert.doesNotMatch(lines.join(""), /\p{Cc}|\p{Cf}/u);
  assert.equal(lines[1], "log ? number=2 damaged");
  assert.deepEqual([lines.length, lines[20]], [21, "11 more logs differ"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseResumeToken, resumeToken } from "../../../../../src/api/methods/tails/resume-token.ts";

test("a token has the life, the Raft index and the records of that batch that were sent", () => {
  for (const place of [
    { life: 7, index: 12, sent: 0 },
    { life: 0, index: 1, sent: 3 },
    { life: 0xffff_ffff, index: Number.MAX_SAFE_INTEGER, sent: 65_536 },
  ])
    assert.deepEqual(parseResumeToken(resumeToken(place)), place);
  assert.equal(resumeToken({ life: 7, index: 12, sent: 3 }), "r7.12.3");
});

test("anything else is refused as a bad request", () => {
  const wrong = [
    ...[
      "",
      "0",
      "41",
      "-1",
      "end",
      "r",
      "r1.2",
      "r1.2.3.4",
      "r1.2.3 ",
      " r1.2.3",
      "R1.2.3",
      "r01.2.3",
      "r1.02.3",
    ],
    ...["r1.0.0", "r-1.2.3", "r1.2.-3", "r1.2.3\n", "r4294967296.2.3", "r1.9007199254740992.0", "r1.1e3.0"],
    ...["r1.2.9007199254740992", "r1.99999999999999999999.0", "7-3", `r1.2.${"9".repeat(10_000)}`],
  ];
  for (const text of wrong) {
    assert.throws(() => parseResumeToken(text), { kind: "bad-request", facts: { field: "resume" } }, text);
  }
  assert.throws(() => parseResumeToken("0", "from", "start, end or "), {
    message: /^from must be start, end or a token /,
    facts: { field: "from" },
  });
});

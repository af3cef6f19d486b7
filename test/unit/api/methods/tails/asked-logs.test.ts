import assert from "node:assert/strict";
import { test } from "node:test";
import { askedLogs, type LogsRequest } from "../../../../../src/api/methods/tails/asked-logs.ts";

const nothing: LogsRequest = { names: [], logIds: [], prefix: undefined, resume: "", fromStart: false };

test("logs are named, with ids or without, or have a prefix", () => {
  assert.deepEqual(askedLogs({ ...nothing, names: ["a", "default"] }), {
    start: "end",
    names: [
      { log: "a", logId: undefined },
      { log: "default", logId: undefined },
    ],
  });
  assert.deepEqual(askedLogs({ ...nothing, names: ["a", "b"], logIds: ["7-1", ""], fromStart: true }), {
    start: "start",
    names: [
      { log: "a", logId: "7-1" },
      { log: "b", logId: undefined },
    ],
  });
  assert.deepEqual(askedLogs({ ...nothing, prefix: "", resume: "r7.3.1" }), {
    start: { life: 7, index: 3, sent: 1 },
    prefix: "",
  });
});

test("a request that is not clear is refused, and says which field", () => {
  const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `log ${n}`);
  const refused: readonly (readonly [Partial<LogsRequest>, string])[] = [
    [{}, "names"],
    [{ names: ["a"], prefix: "b" }, "prefix"],
    [{ names: names(257) }, "names"],
    [{ names: ["a", ""] }, "names"],
    [{ names: ["a", "a"] }, "names"],
    [{ names: ["default", "default"] }, "names"],
    [{ names: ["a*"] }, "names"],
    [{ names: ["a", "b"], logIds: ["7-1"] }, "log_ids"],
    [{ prefix: "a*" }, "prefix"],
    [{ prefix: "a\u0000" }, "prefix"],
    [{ prefix: "\ud800" }, "prefix"],
    [{ prefix: "ä".repeat(128) }, "prefix"],
    [{ prefix: "a", resume: "12" }, "resume"],
    [{ prefix: "a", resume: "r7.3.1", fromStart: true }, "resume"],
  ];
  for (const [request, field] of refused) {
    assert.throws(
      () => askedLogs({ ...nothing, ...request }),
      { kind: "bad-request", facts: { field } },
      JSON.stringify(request).slice(0, 80),
    );
  }
  assert.ok("names" in askedLogs({ ...nothing, names: names(256) }));
});

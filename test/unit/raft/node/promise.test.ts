/** What a message promises about its sender's log. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { message, promiseIn } from "../../../../src/raft/mod.ts";

test("an acknowledgment promises the log, a vote and a request for votes the term, and nothing else promises", () => {
  const at = { term: 4, index: 17 };
  assert.deepEqual(promiseIn(message("append-response", 2, at)), at);
  assert.deepEqual(promiseIn(message("vote", 2, at)), { term: 4, index: 0 });
  assert.deepEqual(promiseIn(message("vote-response", 2, at)), { term: 4, index: 0 });
  for (const type of ["append-response", "vote-response"] as const) {
    assert.equal(promiseIn(message(type, 2, { ...at, reject: true })), undefined);
  }
  for (const type of [
    "pre-vote",
    "pre-vote-response",
    "append",
    "heartbeat",
    "heartbeat-response",
  ] as const) {
    assert.equal(promiseIn(message(type, 2, at)), undefined);
  }
});

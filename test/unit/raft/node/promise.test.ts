/** What a message promises about its sender's log. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { message, promiseIn } from "../../../../src/raft/mod.ts";
import { PromiseBook } from "../../../../src/raft/node/promise.ts";

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

test("a book has the furthest promise, with the term that the entry has in the log of the node", () => {
  const book = new PromiseBook();
  const termAt = (index: number): number | undefined => (index > 17 ? undefined : 3);
  book.sent(message("append-response", 2, { term: 4, index: 17 }), termAt);
  assert.deepEqual(book.furthest, { term: 4, index: 17, entryTerm: 3 });
  book.sent(message("append-response", 2, { term: 4, index: 9 }), termAt);
  assert.deepEqual(book.furthest, { term: 4, index: 17, entryTerm: 3 });
  book.sent(message("append-response", 2, { term: 4, index: 18 }), termAt);
  assert.deepEqual(book.furthest, { term: 4, index: 18 });
  book.sent(message("vote-response", 2, { term: 5 }), termAt);
  assert.deepEqual(book.furthest, { term: 5, index: 0 });
});

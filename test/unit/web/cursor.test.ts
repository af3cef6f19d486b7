import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  backOffMs,
  beyondTriesMax,
  type Cursor,
  type CursorEvent,
  type Duty,
  delayMsMax,
  initialCursor,
  step,
} from "../../../web/src/core/cursor.ts";
import { classify, localFailure, type StreamFailure } from "../../../web/src/core/failure.ts";

const gone = localFailure("network", "the node does not answer");
const failed = (failure: StreamFailure, chance = 0.5): CursorEvent => ({
  kind: "failed",
  failure,
  nowMs: 1000,
  chance,
});
const beyond = classify({ code: "out_of_range", message: "", facts: { lowest: "0", next: "5" } }, 9);
const denied = classify({ code: "permission_denied", message: "no", facts: {} }, 0);

function after(cursor: Cursor, ...events: CursorEvent[]): readonly [Cursor, readonly Duty[]] {
  let duties: readonly Duty[] = [];
  let now = cursor;
  for (const event of events) [now, duties] = step(now, event);
  return [now, duties];
}

test("it opens at its own node and is live with the first message", () => {
  const [opened, duties] = after(initialCursor("a"), { kind: "open" });
  assert.deepEqual(duties, [{ kind: "close" }, { kind: "open", node: "a" }]);
  assert.equal(after(opened, { kind: "message" })[0].phase, "live");
});

test("after a failure it waits with jitter and then asks the next node", () => {
  const nodes: CursorEvent = { kind: "nodes", nodes: ["a", "b", "c"] };
  const [waiting, duties] = after(
    initialCursor("a"),
    { kind: "open" },
    nodes,
    { kind: "message" },
    failed(gone),
  );
  assert.equal(waiting.phase, "waiting");
  assert.deepEqual(duties, [{ kind: "close" }, { kind: "wait", delayMs: 188 }]);
  assert.equal(waiting.retryAtMs, 1188);
  assert.deepEqual(after(waiting, { kind: "timer" })[1], [{ kind: "close" }, { kind: "open", node: "b" }]);
});

test("the wait doubles up to its cap and lies between half and all of it", () => {
  assert.deepEqual(
    [1, 2, 3].map((attempt) => backOffMs(attempt, 1)),
    [250, 500, 1000],
  );
  assert.equal(backOffMs(400, 1), delayMsMax);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 99 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (attempt, chance) => {
        const [most, found] = [backOffMs(attempt, 1), backOffMs(attempt, chance)];
        assert.ok(found >= most / 2 && found <= most);
      },
    ),
    { seed: 3 },
  );
});

test("a message ends the count of failures, and the browser coming online ends the wait", () => {
  const [cursor] = after(initialCursor("a"), { kind: "open" }, failed(gone), { kind: "timer" }, failed(gone));
  assert.equal(cursor.attempt, 2);
  const [again, duties] = after(cursor, { kind: "online" });
  assert.equal(duties.at(-1)?.kind, "open");
  assert.deepEqual(after(again, { kind: "message" })[0].attempt, 0);
});

test("what only a person can solve stops it, with the reason kept", () => {
  const [cursor, duties] = after(initialCursor("a"), { kind: "open" }, failed(denied));
  assert.deepEqual([cursor.phase, cursor.failure?.kind, duties], ["stopped", "denied", [{ kind: "close" }]]);
  assert.deepEqual(after(cursor, { kind: "timer" }, { kind: "online" }, { kind: "show" })[1], []);
});

test("a position beyond the end is final only after other nodes confirm it", () => {
  let cursor = after(initialCursor("a"), { kind: "open" })[0];
  for (let tries = 0; tries < beyondTriesMax; tries++) {
    cursor = after(cursor, failed(beyond))[0];
    assert.equal(cursor.phase, "waiting");
    cursor = after(cursor, { kind: "timer" })[0];
  }
  assert.equal(after(cursor, failed(beyond))[0].phase, "stopped");
});

test("parked and hidden tails hold no stream and come back to the same node", () => {
  const live = after(initialCursor("a"), { kind: "open" }, { kind: "message" })[0];
  for (const [away, back] of [
    ["park", "unpark"],
    ["hide", "show"],
  ] as const) {
    const [quiet, duties] = after(live, { kind: away });
    assert.deepEqual(duties, [{ kind: "close" }]);
    assert.deepEqual(after(quiet, failed(gone))[1], [], "a late failure of the closed stream means nothing");
    assert.deepEqual(after(quiet, { kind: back })[1].at(-1), { kind: "open", node: "a" });
  }
});

test("a new list of nodes keeps the page's own and the one in use", () => {
  const cursor = after(
    initialCursor("a"),
    { kind: "nodes", nodes: ["b", "c"] },
    { kind: "open" },
    failed(gone),
  )[0];
  assert.equal(cursor.nodes[cursor.node], "b");
  const later = after(cursor, { kind: "nodes", nodes: ["d", "e"] })[0];
  assert.deepEqual([later.nodes[0], later.nodes[later.node]], ["a", "b"]);
});

test("whatever happens, there is never more than one stream, and a stopped tail opens none by itself", () => {
  const event: fc.Arbitrary<CursorEvent> = fc.oneof(
    fc
      .constantFrom("open", "message", "timer", "online", "park", "unpark", "hide", "show")
      .map((kind) => ({ kind }) as CursorEvent),
    fc.constantFrom(gone, denied, beyond).map((failure) => failed(failure)),
    fc.subarray(["a", "b", "c"]).map((nodes) => ({ kind: "nodes", nodes }) as CursorEvent),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      let cursor = initialCursor("a");
      let open = 0;
      for (const happening of events) {
        const stopped = cursor.phase === "stopped" && happening.kind !== "open";
        const [next, duties] = step(cursor, happening);
        for (const duty of duties) {
          if (duty.kind === "close") open = 0;
          if (duty.kind === "open") open++;
        }
        assert.ok(open <= 1);
        assert.ok(!(stopped && duties.some((duty) => duty.kind === "open")));
        assert.ok(next.node < next.nodes.length);
        if (next.phase === "waiting") assert.equal(open, 0);
        cursor = next;
      }
    }),
    { seed: 11, numRuns: 2000 },
  );
});

test("errors are classified by code and by the range of the log", () => {
  const range = (position: number | undefined, facts: Record<string, string>) =>
    classify({ code: "out_of_range", message: "m", facts }, position).kind;
  assert.equal(range(3, { lowest: "10", next: "20" }), "trimmed");
  assert.equal(range(30, { lowest: "10", next: "20" }), "beyond");
  assert.equal(range(30, {}), "refused");
  assert.equal(classify({ code: undefined, message: "", facts: {} }, 0).kind, "network");
  assert.equal(classify({ code: "unavailable", message: "", facts: {} }, 0).retry, true);
  assert.equal(classify({ code: "not_found", message: "", facts: {} }, 0).kind, "absent");
  assert.equal(classify({ code: "failed_precondition", message: "", facts: {} }, 0).kind, "replaced");
  assert.equal(localFailure("closed", "").retry, false);
  assert.equal(classify({ code: "unimplemented", message: "", facts: {} }, 0).retry, false);
});

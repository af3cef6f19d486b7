import assert from "node:assert/strict";
import { test } from "node:test";
import { logGossip } from "../../../../src/agent/gossip/gossip-log.ts";
import { Fault, type FaultKind } from "../../../../src/fault.ts";
import type { Membership, MembershipEvent, MemberView } from "../../../../src/membership/mod.ts";
import { logLines } from "../../../support/log/log-lines.ts";
import { StillClock } from "../../../support/log/logs.ts";

const at = { host: "10.0.0.1", port: 7946 };
const member = (name: string): MemberView => ({ name, status: "alive", ...at, tags: { secret: "tag" } });

function open() {
  const time = new StillClock();
  let emit: (event: MembershipEvent) => void = () => {};
  const membership: Pick<Membership, "name" | "onEvent"> = {
    name: "self",
    onEvent: (listener) => {
      emit = listener;
      return () => {};
    },
  };
  const { log, lines } = logLines();
  logGossip(membership, log, time);
  return { lines, time, emit: (event: MembershipEvent) => emit(event) };
}

const problem = (kind: FaultKind): MembershipEvent => ({ kind: "problem", from: at, fault: new Fault(kind) });

test("changes of other members are info lines without tags, and those of this member are not logged", () => {
  const { emit, lines } = open();
  emit({ kind: "joined", member: member("self") });
  emit({ kind: "joined", member: member("other") });
  assert.deepEqual(lines, [
    { level: "info", message: "member joined", facts: { member: "other", addr: "10.0.0.1:7946" } },
  ]);
});

test("interrupted streams are debug lines, and what an operator must fix is a warning", () => {
  const { emit, lines, time } = open();
  for (const kind of ["unavailable", "deadline", "bad-request", "permission-denied", "overloaded"] as const) {
    emit(problem(kind));
    time.nowMs += 10_000;
  }
  emit({ kind: "conflict", name: "twin", known: at, claimed: { ...at, port: 1 } });
  assert.deepEqual(
    lines.map(({ level }) => level),
    ["debug", "debug", "debug", "warn", "warn", "warn"],
  );
});

test("the rate of lines is limited, and the next line counts the suppressed ones", () => {
  const { emit, lines, time } = open();
  for (let count = 0; count < 100; count++) emit(problem("permission-denied"));
  assert.ok(lines.length < 10, `${lines.length} lines`);
  const written = lines.length;
  time.nowMs += 60_000;
  emit(problem("permission-denied"));
  assert.equal(lines.at(-1)?.facts["heldBack"], 100 - written);
});

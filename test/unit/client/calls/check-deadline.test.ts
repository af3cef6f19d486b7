import assert from "node:assert/strict";
import { test } from "node:test";
import { checkDeadline } from "../../../../src/client/calls/check-deadline.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const clock = new VirtualTime().clock();

test("a time of the monotonic clock is a deadline, also if it has passed or never comes", () => {
  for (const deadlineMs of [-1, 0, 86_400_000, Number.POSITIVE_INFINITY]) {
    assert.equal(checkDeadline(clock, deadlineMs), deadlineMs);
  }
});

test("NaN and a time of the wall clock are a bad request", () => {
  for (const deadlineMs of [Number.NaN, clock.wallMs()]) {
    assert.throws(() => checkDeadline(clock, deadlineMs), {
      kind: "bad-request",
      facts: { field: "deadlineMs" },
    });
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { waitFor } from "../../../../../src/agent/cluster/members/wait-for.ts";
import { LeaderWatch } from "../../../../../src/replication/leader-watch.ts";
import { StillClock } from "../../../../support/log/logs.ts";

function open() {
  const clock = new StillClock();
  const watch = new LeaderWatch({
    clock,
    ready: () => false,
    leads: () => false,
    leaderName: () => undefined,
  });
  const state = { holds: false, isOver: false };
  const wait = async (forMs: number): Promise<void> => {
    await waitFor({ watch }, clock, () => state.holds, clock.monotonicMs() + forMs);
    state.isOver = true;
  };
  return { clock, watch, state, wait };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a wait ends with the next change after which the condition holds", async () => {
  const { watch, state, wait } = open();
  const over = wait(1_000);
  watch.notify();
  await settled();
  assert.equal(state.isOver, false);
  state.holds = true;
  watch.notify();
  await over;
});

test("a condition that becomes true without a change is seen soon after", async () => {
  const { clock, state, wait } = open();
  const over = wait(1_000);
  state.holds = true;
  clock.advance(50);
  await over;
});

test("a wait ends at its time, also if the condition never holds, and at once if there is none", async () => {
  const { clock, state, wait } = open();
  const over = wait(70);
  clock.advance(50);
  await settled();
  assert.equal(state.isOver, false);
  clock.advance(20);
  await over;
  await wait(0);
});

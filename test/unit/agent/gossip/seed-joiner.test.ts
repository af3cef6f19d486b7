import assert from "node:assert/strict";
import { test } from "node:test";
import { SeedJoiner } from "../../../../src/agent/gossip/seed-joiner.ts";
import { Fault } from "../../../../src/fault.ts";
import type { Clock } from "../../../../src/lib/time/clock.ts";
import type { MembershipEvent, MemberView } from "../../../../src/membership/mod.ts";
import { logLines } from "../../../support/log/log-lines.ts";

const member = (name: string, status: MemberView["status"]): MemberView => ({
  ...{ name, status, host: "10.0.0.1", port: 1, tags: {} },
});

/** A joiner of one seed, whose timers run on demand. */
function open() {
  const timers: { delayMs: number; run: () => void }[] = [];
  const clock: Clock = {
    wallMs: () => 0,
    monotonicMs: () => 0,
    soon: (run) => run(),
    after: (delayMs, run) => {
      const timer = { delayMs, run };
      timers.push(timer);
      return { cancel: () => timers.splice(timers.indexOf(timer), 1) };
    },
  };
  const state = { fails: true, joins: 0, others: [] as MemberView[] };
  const listeners = new Set<(event: MembershipEvent) => void>();
  const { log, lines } = logLines();
  const joiner = new SeedJoiner({
    seeds: ["10.0.0.2:7946"],
    clock,
    log,
    membership: {
      name: "self",
      members: () => [member("self", "alive"), ...state.others],
      rejoin: async () => false,
      join: async () => {
        state.joins++;
        if (state.fails) throw new Fault("unavailable", { message: "no member could be joined" });
        state.others = [member("other", "alive")];
        return 1;
      },
      onEvent: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
  });
  const next = async (): Promise<number> => {
    const timer = timers.shift();
    assert.ok(timer);
    timer.run();
    await new Promise((resolve) => setImmediate(resolve));
    return timer.delayMs;
  };
  const emit = (event: MembershipEvent): void => {
    for (const listener of listeners) listener(event);
  };
  return { joiner, state, timers, lines, next, emit };
}

test("a failed attempt is repeated with growing delays, and a success ends that", async () => {
  const { joiner, lines, next, state, timers } = open();
  await joiner.start();
  assert.equal(lines[0]?.level, "warn");
  const delays: number[] = [];
  for (let count = 0; count < 7; count++) delays.push(await next());
  assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  state.fails = false;
  await next();
  assert.equal(lines.at(-1)?.message, "joined the seeds");
  assert.equal(timers.length, 0);
});

test("the seeds are joined again once the last other member is gone", async () => {
  const { emit, joiner, next, state, timers } = open();
  state.fails = false;
  await joiner.start();
  state.others.push(member("second", "suspect"));
  emit({ kind: "failed", member: member("third", "failed") });
  assert.equal(timers.length, 0, "two others are live");
  state.others = [member("other", "failed")];
  emit({ kind: "failed", member: member("other", "failed") });
  emit({ kind: "reaped", member: member("other", "failed") });
  assert.equal(timers.length, 1);
  await next();
  assert.equal(state.joins, 2);
});

test("a disposed joiner makes no further attempt", async () => {
  const { emit, joiner, state, timers } = open();
  await joiner.start();
  joiner[Symbol.dispose]();
  emit({ kind: "left", member: member("other", "left") });
  assert.equal(timers.length, 0);
  assert.equal(state.joins, 1);
});

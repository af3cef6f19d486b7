/** Waits use the monotonic clock: each ends at its deadline, however the wall clock is set meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { Broadcast } from "../../../src/lib/broadcast.ts";
import { Requester } from "../../../src/peer/link/requester.ts";
import { valueRequest } from "../../../src/peer/wire/request-codec.ts";
import { FreshnessGate } from "../../../src/replication/freshness-gate.ts";
import { LeaderWatch } from "../../../src/replication/leader-watch.ts";
import { type VirtualClock, VirtualTime } from "../../support/time/virtual-clock.ts";

const hour = 3_600_000;
const limitMs = 4_000;

const waits: Readonly<Record<string, (clock: VirtualClock, deadlineMs: number) => Promise<unknown>>> = {
  "for a leader": (clock, deadlineMs) => {
    const ports = { clock, ready: () => false, leads: () => false, leaderName: () => undefined };
    return new LeaderWatch(ports).leader(deadlineMs);
  },
  "for the response of a peer": (clock, deadlineMs) => {
    const requester = new Requester({ clock, send: () => true, reachable: () => true, requestsMax: 1 });
    return requester.ask(valueRequest("wait", null), deadlineMs);
  },
  "until this node has applied a seen record": (clock, deadlineMs) => {
    const log = { bounds: { lowest: 0, next: 1 }, changed: new Broadcast(), closed: false };
    const readIndex = (): Promise<void> => Promise.resolve();
    const gate = new FreshnessGate({ clock, log, alone: () => false, readIndex });
    return gate.beforeBounds({ mode: "session", seenOffset: 1, deadlineMs });
  },
};

for (const [what, wait] of Object.entries(waits)) {
  test(`a wait ${what} ends at its deadline, however the wall clock is set`, async () => {
    for (const stepMs of [0, 60_000, 2 * hour, -hour, -1_000]) {
      const time = new VirtualTime();
      const clock = time.clock();
      let ended: Fault | undefined;
      const waiting = wait(clock, clock.monotonicMs() + limitMs).catch((reason: unknown) => {
        ended = Fault.from(reason);
      });
      time.after(10, () => {
        clock.offsetMs += stepMs;
      });
      while (ended === undefined && time.now < 10 * limitMs && time.step()) {
        for (let hops = 0; hops < 8; hops++) await null;
      }
      assert.ok(ended !== undefined, `after a step of ${stepMs} ms it does not end`);
      await waiting;
      assert.ok(time.now >= limitMs && time.now <= limitMs + 100, `after ${stepMs} ms: ${time.now} ms`);
    }
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import type { InstrumentOptions, Metrics, Observe } from "../../../src/lib/telemetry.ts";
import { noMetrics } from "../../../src/lib/telemetry.ts";
import { PeerMeter } from "../../../src/peer/peer-meter.ts";

test("links, clocks and queued bytes are reported by peer and channel, until the network closes", () => {
  const gauges = new Map<string, Observe>();
  const counts = new Map<string, number>();
  const metrics: Metrics = {
    ...noMetrics,
    counter: (name, { attributes }: InstrumentOptions) => ({
      add: (amount) => {
        const key = `${name} ${Object.values(attributes ?? {}).join()}`;
        counts.set(key, (counts.get(key) ?? 0) + amount);
      },
    }),
    gauge: (name, _options, observe) => {
      gauges.set(name, observe);
      return () => gauges.delete(name);
    },
  };
  const meter = new PeerMeter(metrics, {
    peers: () => [
      { name: "b", connected: true, clockOffMs: 250 },
      { name: "c", connected: false, clockOffMs: undefined },
    ],
    queuedBytes: (channel) => (channel === "bulk" ? 7 : 0),
  });
  meter.messageDropped("bulk");
  meter.messageDropped("bulk");
  meter.channelOpened("control");
  meter.refused("other-cluster");
  assert.deepEqual(Object.fromEntries(counts), {
    "tailrace.peer.dropped bulk": 2,
    "tailrace.peer.opened control": 1,
    "tailrace.peer.refused other-cluster": 1,
  });
  const shown = Object.fromEntries([...gauges].map(([name, observe]) => [name, observe()]));
  assert.deepEqual(shown, {
    "tailrace.peer.connected": [
      { value: 1, attributes: { peer: "b" } },
      { value: 0, attributes: { peer: "c" } },
    ],
    "tailrace.peer.clock.offset": [{ value: 0.25, attributes: { peer: "b" } }],
    "tailrace.peer.queued": [
      { value: 0, attributes: { lane: "control" } },
      { value: 7, attributes: { lane: "bulk" } },
    ],
  });
  meter[Symbol.dispose]();
  assert.equal(gauges.size, 0);
});

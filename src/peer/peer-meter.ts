/**
 * What the network of peers counts: links, refusals, messages that found no room, bytes that wait, clocks.
 *
 * Never: has an attribute that a caller could make up.
 */
import type { Counter, Metrics } from "../lib/telemetry.ts";
import type { RefusalReason } from "./handshake/handshake.ts";
import type { ChannelName } from "./link/peer-link.ts";

interface MeteredPeer {
  readonly name: string;
  readonly connected: boolean;
  readonly clockOffMs: number | undefined;
}

export interface PeerGauges {
  peers(): readonly MeteredPeer[];
  queuedBytes(lane: ChannelName): number;
}

const lanes: readonly ChannelName[] = ["control", "bulk"];

export class PeerMeter {
  readonly #metrics: Metrics;
  readonly #dropped: Record<ChannelName, Counter>;
  readonly #opened: Record<ChannelName, Counter>;
  readonly #gauges: (() => void)[];

  constructor(metrics: Metrics, { peers, queuedBytes }: PeerGauges) {
    this.#metrics = metrics;
    const perLane = (name: string, description: string, unit: string): Record<ChannelName, Counter> => {
      const [control, bulk] = lanes.map((lane) =>
        metrics.counter(name, { description, unit, attributes: { lane } }),
      ) as [Counter, Counter];
      return { control, bulk };
    };
    this.#dropped = perLane(
      "tailrace.peer.dropped",
      "Messages of Raft that found no link or no room",
      "{message}",
    );
    this.#opened = perLane("tailrace.peer.opened", "Links to peers opened", "{link}");
    this.#gauges = [
      metrics.gauge(
        "tailrace.peer.connected",
        { description: "Is the node linked to this member?", unit: "1" },
        () =>
          peers().map(({ name, connected }) => ({ value: connected ? 1 : 0, attributes: { peer: name } })),
      ),
      metrics.gauge(
        "tailrace.peer.clock.offset",
        { description: "How far the member's clock is ahead of this node's", unit: "s" },
        () =>
          peers().flatMap(({ name, clockOffMs }) =>
            clockOffMs === undefined ? [] : [{ value: clockOffMs / 1_000, attributes: { peer: name } }],
          ),
      ),
      metrics.gauge(
        "tailrace.peer.queued",
        { description: "Bytes that wait to be sent to peers", unit: "By" },
        () => lanes.map((lane) => ({ value: queuedBytes(lane), attributes: { lane } })),
      ),
    ];
  }

  dropped(lane: ChannelName): void {
    this.#dropped[lane].add(1);
  }

  opened(lane: ChannelName): void {
    this.#opened[lane].add(1);
  }

  refused(reason: RefusalReason): void {
    this.#metrics
      .counter("tailrace.peer.refused", {
        description: "Peers' connections refused",
        unit: "{connection}",
        attributes: { reason },
      })
      .add(1);
  }

  [Symbol.dispose](): void {
    for (const end of this.#gauges) end();
  }
}

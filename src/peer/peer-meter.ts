/**
 * Metrics of the peer network. Their attributes are limited to names of members, channels and reasons of this version, so
 * that a caller cannot create new series.
 */
import type { Counter, Metrics } from "../lib/telemetry.ts";
import type { ChannelName } from "./handshake/introduction.ts";
import { type RefusalReason, refusalReasons } from "./handshake/refusal.ts";

interface MeteredPeer {
  readonly name: string;
  readonly connected: boolean;
  readonly clockOffMs: number | undefined;
}

export interface PeerGauges {
  peers(): readonly MeteredPeer[];
  queuedBytes(channel: ChannelName): number;
}

const channels: readonly ChannelName[] = ["control", "bulk"];

export class PeerMeter {
  readonly #metrics: Metrics;
  readonly #dropped: Record<ChannelName, Counter>;
  readonly #opened: Record<ChannelName, Counter>;
  readonly #gauges: (() => void)[];

  constructor(metrics: Metrics, { peers, queuedBytes }: PeerGauges) {
    this.#metrics = metrics;
    const perChannel = (name: string, description: string, unit: string): Record<ChannelName, Counter> => {
      const [control, bulk] = channels.map((lane) =>
        metrics.counter(name, { description, unit, attributes: { lane } }),
      ) as [Counter, Counter];
      return { control, bulk };
    };
    this.#dropped = perChannel(
      "tailrace.peer.dropped",
      "Raft messages dropped without a link or without room",
      "{message}",
    );
    this.#opened = perChannel("tailrace.peer.opened", "Channels to peers opened", "{link}");
    // Each series begins at 0, so that the first refusal counts as an increase.
    for (const reason of refusalReasons) this.#refused(reason);
    this.#gauges = [
      metrics.gauge(
        "tailrace.peer.connected",
        { description: "1 if both channels to the member are open", unit: "1" },
        () =>
          peers().map(({ name, connected }) => ({ value: connected ? 1 : 0, attributes: { peer: name } })),
      ),
      metrics.gauge(
        "tailrace.peer.clock.offset",
        { description: "Time that the member's clock is ahead of this node's", unit: "s" },
        () =>
          peers().flatMap(({ name, clockOffMs }) =>
            clockOffMs === undefined ? [] : [{ value: clockOffMs / 1_000, attributes: { peer: name } }],
          ),
      ),
      metrics.gauge("tailrace.peer.queued", { description: "Bytes queued for peers", unit: "By" }, () =>
        channels.map((lane) => ({ value: queuedBytes(lane), attributes: { lane } })),
      ),
    ];
  }

  messageDropped(channel: ChannelName): void {
    this.#dropped[channel].add(1);
  }

  channelOpened(channel: ChannelName): void {
    this.#opened[channel].add(1);
  }

  refused(reason: RefusalReason): void {
    this.#refused(reason).add(1);
  }

  #refused(reason: RefusalReason): Counter {
    return this.#metrics.counter("tailrace.peer.refused", {
      description: "Connections of peers that were refused",
      unit: "{connection}",
      attributes: { reason },
    });
  }

  [Symbol.dispose](): void {
    for (const remove of this.#gauges) remove();
  }
}

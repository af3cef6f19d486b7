/**
 * Sends a fixed number of records per second on one ProduceStream. It does not slow down when acknowledgments are late.
 */

import { messageCounter } from "../../../src/cli/bench/message-counter.ts";
import { grpcHeaders, H2Client, type Target } from "./h2-client.ts";
import { paths, produceOne } from "./messages.ts";

export interface PacedLoad {
  /** Acknowledged records per second. */
  readonly rate: number;
  /** The longest time without an acknowledgment, in milliseconds. */
  readonly worstGapMs: number;
  /** The highest number of unacknowledged records. */
  readonly unacknowledgedMax: number;
}

const everyMs = 10;

/** Sends `perSecond` records per second until `over` returns true. */
export async function paced(target: Target, perSecond: number, over: () => boolean): Promise<PacedLoad> {
  const client = await H2Client.open(target);
  const acks = messageCounter();
  let [sent, acked, unacknowledgedMax, worstGapMs] = [0, 0, 0, 0];
  const began = performance.now();
  let lastAck = began;
  await new Promise<void>((resolve, reject) => {
    const id = client.request(grpcHeaders(paths.produceStream), undefined, {
      onData: (chunk) => {
        const now = performance.now();
        worstGapMs = Math.max(worstGapMs, now - lastAck);
        lastAck = now;
        acked += acks(chunk);
      },
      onEnd: (reset) => (reset ? reject(new Error("the stream was reset")) : resolve()),
    });
    const timer = setInterval(() => {
      const due = Math.floor(((performance.now() - began) / 1000) * perSecond) - sent;
      const ends = over();
      client.write(id, Buffer.concat(Array.from({ length: due }, () => produceOne)), ends);
      sent += due;
      unacknowledgedMax = Math.max(unacknowledgedMax, sent - acked);
      if (ends) clearInterval(timer);
    }, everyMs);
  });
  const seconds = (performance.now() - began) / 1000;
  client.close();
  return { rate: acked / seconds, worstGapMs, unacknowledgedMax };
}

/**
 * A load that is offered, whatever becomes of it: so many records a second on one ProduceStream.
 *
 * Never: slows down because answers are late; what is late is the figure.
 */
import { grpcHeaders, H2Client, type Target } from "./h2-client.ts";
import { paths, produceOne } from "./messages.ts";
import { ackCounter } from "./produce.ts";

export interface Offered {
  /** Acknowledged a second, of what was offered a second. */
  readonly rate: number;
  /** The longest time without an acknowledgement, milliseconds. */
  readonly worstGapMs: number;
  /** The most that was ever unacknowledged. */
  readonly mostWaiting: number;
}

const everyMs = 10;

/** Offers `perSecond` records a second until `over` says so. */
export async function paced(target: Target, perSecond: number, over: () => boolean): Promise<Offered> {
  const client = await H2Client.open(target);
  const acks = ackCounter();
  let [sent, acked, mostWaiting, worstGapMs] = [0, 0, 0, 0];
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
      mostWaiting = Math.max(mostWaiting, sent - acked);
      if (ends) clearInterval(timer);
    }, everyMs);
  });
  const seconds = (performance.now() - began) / 1000;
  client.close();
  return { rate: acked / seconds, worstGapMs, mostWaiting };
}

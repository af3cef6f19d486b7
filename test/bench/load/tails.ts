/** P8 and P9: many tails, idle and with records. */

import { messageCounter } from "../../../src/cli/bench/message-counter.ts";
import { grpcHeaders, H2Client, type Target } from "./h2-client.ts";
import { consumeFrom, paths, produceOne } from "./messages.ts";
import { cpuSeconds, residentBytes } from "./server-process.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface IdleTails {
  /** Share of one core. */
  readonly cpuShare: number;
  readonly bytesEach: number;
}

/** Measures what `count` tails that wait at the end cost the server. */
export async function idleTails(
  target: Target,
  pid: number,
  tails: number,
  connections: number,
): Promise<IdleTails> {
  await pause(1000);
  const before = residentBytes(pid);
  const clients = await openAll(target, connections);
  for (let at = 0; at < tails; at++) {
    clients[at % connections]?.request(grpcHeaders(paths.consumeStream), consumeFrom({ fromEnd: true }), {
      onEnd: () => undefined,
    });
  }
  await pause(3000);
  const cpu = cpuSeconds(pid);
  await pause(5000);
  const cpuShare = (cpuSeconds(pid) - cpu) / 5;
  const bytesEach = (residentBytes(pid) - before) / tails;
  for (const client of clients) client.close();
  await pause(500);
  return { cpuShare, bytesEach };
}

export interface FedTails {
  /** Records delivered per second to all tails together. */
  readonly delivered: number;
  readonly cpuShare: number;
}

/** Measures what `tails` tails receive when records arrive at `rate` per second. */
export async function fedTails(target: Target, pid: number, tails: number, rate: number): Promise<FedTails> {
  const clients = await openAll(target, 10);
  let delivered = 0;
  for (let at = 0; at < tails; at++) {
    const count = messageCounter();
    clients[at % clients.length]?.request(grpcHeaders(paths.consumeStream), consumeFrom({ fromEnd: true }), {
      onData: (chunk) => {
        delivered += count(chunk);
      },
      onEnd: () => undefined,
    });
  }
  const producer = await H2Client.open(target);
  const id = producer.request(grpcHeaders(paths.produceStream), undefined, { onEnd: () => undefined });
  await pause(1500);
  const started = performance.now();
  const cpu = cpuSeconds(pid);
  let sent = 0;
  while (performance.now() - started < 5000) {
    const due = Math.floor(((performance.now() - started) / 1000) * rate);
    while (sent < due) {
      producer.write(id, produceOne);
      sent++;
    }
    await pause(1);
  }
  const seconds = (performance.now() - started) / 1000;
  const result = { delivered: delivered / seconds, cpuShare: (cpuSeconds(pid) - cpu) / seconds };
  for (const client of [...clients, producer]) client.close();
  return result;
}

function openAll(target: Target, connections: number): Promise<H2Client[]> {
  return Promise.all(Array.from({ length: connections }, () => H2Client.open(target)));
}

/** Many tails of server-sent events over HTTP/2. */
import { grpcHeaders, H2Client, headerBlock, type Target } from "./h2-client.ts";
import { paths, produceOne } from "./messages.ts";
import { cpuSeconds } from "./server-process.ts";

const [connections, sampledTails, seconds] = [10, 20, 8];
/** More than the longest event of a record of 100 bytes. */
const endBytes = 1_024;
const idLine = /^id: ?(\d+)\n/gm;

export interface EventTails {
  /** Records delivered per second to all tails together. */
  readonly delivered: number;
  /** Share of one core that the server takes. */
  readonly cpuShare: number;
  /** From the moment a record is sent to the moment that a tail has its event. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The offsets of the events in a piece of a stream. An event that is cut counts in neither piece. */
const idsIn = (text: string): number[] => [...text.matchAll(idLine)].map(([, id]) => Number(id));

/** Feeds `count` tails with `rate` records per second. Looks into the events of some of them only. */
export async function eventTails(
  target: Target,
  pid: number,
  count: number,
  rate: number,
): Promise<EventTails> {
  const clients = await Promise.all(Array.from({ length: connections }, () => H2Client.open(target)));
  const headers = headerBlock([
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/tail?from=end"],
    [":authority", "localhost"],
    ["accept", "text/event-stream"],
  ]);
  const sentAt: number[] = [];
  const times: number[] = [];
  const ends: Buffer[] = [];
  let first = -1;
  const look = (chunk: Buffer): void => {
    const now = performance.now();
    for (const id of idsIn(chunk.toString("latin1"))) {
      if (first < 0) first = id;
      const from = sentAt[id - first];
      if (from !== undefined) times.push(now - from);
    }
  };
  for (let at = 0; at < count; at++) {
    const isSampled = at < sampledTails;
    clients[at % connections]?.request(headers, Buffer.alloc(0), {
      onData: (chunk) => {
        ends[at] =
          chunk.length >= endBytes
            ? chunk.subarray(-endBytes)
            : Buffer.concat([ends[at] ?? Buffer.alloc(0), chunk]).subarray(-endBytes);
        if (isSampled) look(chunk);
      },
      onEnd: () => undefined,
    });
  }
  await pause(2_000);
  const producer = await H2Client.open(target);
  const id = producer.request(grpcHeaders(paths.produceStream), undefined, { onEnd: () => undefined });
  const started = performance.now();
  const cpu = cpuSeconds(pid);
  while (performance.now() - started < seconds * 1_000) {
    const due = Math.floor(((performance.now() - started) / 1_000) * rate);
    while (sentAt.length < due) {
      sentAt.push(performance.now());
      producer.write(id, produceOne);
    }
    await pause(1);
  }
  const passed = (performance.now() - started) / 1_000;
  const cpuShare = (cpuSeconds(pid) - cpu) / passed;
  await pause(1_000);
  let delivered = 0;
  for (const end of ends) {
    const last = idsIn(end?.toString("latin1") ?? "").at(-1);
    if (last !== undefined && first >= 0) delivered += last - first + 1;
  }
  for (const client of [...clients, producer]) client.close();
  times.sort((left, right) => left - right);
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN;
  return { delivered: delivered / passed, cpuShare, p50Ms: at(0.5), p99Ms: at(0.99) };
}

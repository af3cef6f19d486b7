/**
 * Clients that tail the log from its start, in every protocol. They continue at another node after a failure and after a
 * random time, from the next offset.
 */
import { anyLog, type Client, type ClientContext, clusterClient, pause } from "./client-context.ts";
import { TailPosition } from "./tail-position.ts";

/** Opens one stream after another. Each ends after at most 12 s. */
async function overStreams(
  { signal, chance }: ClientContext,
  position: TailPosition,
  follow: (signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  while (!signal.aborted) {
    const stop = AbortSignal.any([signal, AbortSignal.timeout(chance.between(1_000, 12_000))]);
    try {
      await follow(stop);
    } catch {
      // The stream failed. The next one continues at the same offset.
    }
    position.flush();
    await pause(50, signal);
  }
}

/** The package's tail, which finds another node by itself. */
export const follow: Client = async (self) => {
  using client = clusterClient(self);
  using tail = client.commitLog.follow(0);
  await new TailPosition(self).showTail(tail, self.signal);
};

/** ConsumeStream on one node after another. */
export const consumeStream: Client = async (self) => {
  const position = new TailPosition(self);
  await overStreams(self, position, async (signal) => {
    const log = anyLog(self, ["grpc", "grpc-web", "connect"]);
    for await (const { record } of log.consumeStream({ offset: BigInt(position.next) }, { signal })) {
      if (record !== undefined) position.one(Number(record.offset), Buffer.from(record.value).toString());
    }
  });
};

/** Server-sent events, resumed with the last event's id. */
export const serverSentEvents: Client = (self) => overHttp(self, "text/event-stream");
/** Lines of JSON. */
export const jsonLines: Client = (self) => overHttp(self, "application/x-ndjson");

async function overHttp(self: ClientContext, accept: string): Promise<void> {
  const position = new TailPosition(self);
  await overStreams(self, position, async (signal) => {
    const addr = self.chance.pick(self.addresses.direct());
    const resume = position.next === 0 ? {} : { "last-event-id": String(position.next - 1) };
    const headers = { accept, ...resume };
    await position.showLines(await self.connections.stream(addr, "/tail?from=start", headers, signal));
  });
}

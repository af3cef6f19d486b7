/**
 * Tails of named logs: by the package, as ConsumeStream, and as server-sent events. Each follows the log of a name until that
 * log is deleted or closed, and then the next log of the name. They continue at another node after a failure.
 */
import { text } from "node:stream/consumers";
import { Fault } from "../../../src/fault.ts";
import {
  anyLog,
  type Client,
  type ClientContext,
  clusterClient,
  failureOf,
  isGone,
  pause,
} from "../clients/client-context.ts";
import { type FollowedLog, TailPosition } from "../clients/tail-position.ts";

type Follow = (of: FollowedLog, position: TailPosition, signal: AbortSignal) => Promise<void>;

/** Follows one name after another's failure: opens streams of at most 12 s, each with the id of the log. */
async function followName(self: ClientContext, log: string, follow: Follow): Promise<void> {
  const { signal, chance, known } = self;
  let followed: { readonly of: FollowedLog; readonly position: TailPosition } | undefined;
  while (!signal.aborted) {
    const newest = known.newest(log);
    if (newest !== undefined && followed?.of.logId !== newest) {
      const of = { log, logId: newest };
      followed = { of, position: new TailPosition(self, of) };
    }
    if (followed === undefined) {
      await pause(100, signal);
      continue;
    }
    const { of, position } = followed;
    const stop = AbortSignal.any([signal, AbortSignal.timeout(chance.between(1_000, 12_000))]);
    try {
      await follow(of, position, stop);
    } catch (reason) {
      position.flush();
      const failure = failureOf(reason, "read", log);
      const { lowest } = (reason as { facts?: { lowest?: number } }).facts ?? {};
      if (failure.kind === "trimmed") position.startAt(lowest ?? lowestIn(failure.message) ?? position.next);
      // The log is gone: until another one has its name, there is nothing to follow.
      if (isGone(failure)) await pause(200, signal);
    }
    position.flush();
    await pause(50, signal);
  }
}

const lowestIn = (message: string): number | undefined => {
  const found = /holds (\d+) to|continues at (\d+)/.exec(message);
  return found === null ? undefined : Number(found[1] ?? found[2]);
};

const overNames = (self: ClientContext, count: number, follow: Follow): Promise<unknown> => {
  const names = self.chance.shuffle([...self.known.names]).slice(0, count);
  return Promise.all(names.map((name) => followName(self, name, follow)));
};

/** ConsumeStream with the id of the log, on one node after another. */
export const namedStreams: Client = async (self) => {
  await overNames(self, 12, async (of, position, signal) => {
    const log = anyLog(self, ["grpc", "grpc-web", "connect"]);
    const request = { offset: BigInt(position.next), ...of };
    for await (const { record, logId } of log.consumeStream(request, { signal }))
      if (record !== undefined)
        position.shown(Number(record.offset), [Buffer.from(record.value).toString()], logId);
  });
};

/** Server-sent events, resumed with the id of the last event. */
export const namedEvents: Client = async (self) => {
  const { chance, addresses, connections } = self;
  await overNames(self, 8, async (of, position, signal) => {
    const path = `/logs/${of.log}?from=${position.next}&follow&log_id=${of.logId}`;
    const headers = { accept: chance.pick(["text/event-stream", "application/x-ndjson"]) };
    const answer = await connections.stream(chance.pick(addresses.direct()), path, headers, signal);
    if (answer.statusCode !== 200) throw refusalOf(await text(answer));
    await position.showLines(answer);
  });
};

/** An error body as the error of an RPC would be. A tail that is behind the trimmed records learns where they begin. */
function refusalOf(body: string): Error {
  const { code = "", message = "", offset, lowest } = JSON.parse(body) as ErrorBody;
  return code === "out_of_range" && offset !== undefined && lowest !== undefined
    ? new Fault("out-of-range", { message, facts: { offset, lowest } })
    : Object.assign(new Error(message), { code });
}

interface ErrorBody {
  readonly code?: string;
  readonly message?: string;
  readonly offset?: number;
  readonly lowest?: number;
}

/** The package's tail, which finds another node by itself. */
export const namedFollow: Client = async (self) => {
  using client = clusterClient(self);
  await overNames(self, 8, async ({ log, logId }, position, signal) => {
    using tail = client.log(log, { id: logId }).follow(position.next);
    await position.showTail(tail, signal);
  });
};

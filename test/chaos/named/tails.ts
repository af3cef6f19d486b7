/**
 * Tails of named logs: by the package, as ConsumeStream, and as server-sent events. Each follows the log of a name until that
 * log is deleted or closed, and then the next log of the name. They continue at another node after a failure.
 */
import { recordsOf } from "../../../src/client/mod.ts";
import { clusterClient, logOf, pause } from "../clients/client-context.ts";
import type { Protocol } from "../clients/node-connections.ts";
import { nameIn } from "../clients/values.ts";
import { isGone, type NamedClient, type NamedContext, namedFailureOf } from "./named-context.ts";

/** The position of one tail in one log, and the history of what it was shown. */
class NamedPosition {
  readonly #self: NamedContext;
  readonly #client: string;
  readonly log: string;
  readonly logId: string;
  next = 0;

  constructor(self: NamedContext, log: string, logId: string, at = 0) {
    this.#self = self;
    this.log = log;
    this.logId = logId;
    this.#client = `${self.name}/${log}`;
    this.startAt(at);
  }

  /** The tail starts, or starts again behind records that were trimmed. */
  startAt(from: number): void {
    const { history } = this.#self;
    this.next = from;
    const now = history.now();
    const about = { log: this.log, logId: this.logId, start: now, end: now };
    history.add({ op: "tail", client: this.#client, from, ...about });
  }

  /** `logId` is that of the answer. */
  shown(offset: number, values: readonly string[], logId = this.logId): void {
    const { history, tailed } = this.#self;
    if (values.length === 0) return;
    const now = history.now();
    const names = values.map((value) => history.intern(nameIn(value)));
    const about = { log: this.log, statedId: this.logId, logId, start: now, end: now };
    history.add({ op: "shown", client: this.#client, offset, values: names, ...about });
    this.next = offset + values.length;
    tailed.set(this.#client, { logId: this.logId, next: this.next });
  }
}

type Follow = (self: NamedContext, position: NamedPosition, signal: AbortSignal) => Promise<void>;

/** Follows one name after another's failure: opens streams of at most 12 s, each with the id of the log. */
async function followName(self: NamedContext, log: string, follow: Follow): Promise<void> {
  const { signal, chance, known } = self;
  let position: NamedPosition | undefined;
  while (!signal.aborted) {
    const newest = known.newest(log);
    if (newest !== undefined && position?.logId !== newest) position = new NamedPosition(self, log, newest);
    if (position === undefined) {
      await pause(100, signal);
      continue;
    }
    const stop = AbortSignal.any([signal, AbortSignal.timeout(chance.between(1_000, 12_000))]);
    try {
      await follow(self, position, stop);
    } catch (reason) {
      const failure = namedFailureOf(reason, "read");
      const { lowest } = (reason as { facts?: { lowest?: number } }).facts ?? {};
      if (failure.kind === "trimmed") position.startAt(lowest ?? lowestIn(failure.message) ?? position.next);
      // The log is gone: until another one has its name, there is nothing to follow.
      if (isGone(failure)) await pause(200, signal);
    }
    await pause(50, signal);
  }
}

const lowestIn = (message: string): number | undefined => {
  const found = /holds (\d+) to|continues at (\d+)/.exec(message);
  return found === null ? undefined : Number(found[1] ?? found[2]);
};

const overNames = (self: NamedContext, count: number, follow: Follow): Promise<unknown> => {
  const names = self.chance.shuffle([...self.known.names]).slice(0, count);
  return Promise.all(names.map((name) => followName(self, name, follow)));
};

/** ConsumeStream with the id of the log, on one node after another. */
export const namedStreams: NamedClient = async (self) => {
  await overNames(self, 12, async ({ chance, addresses }, position, signal) => {
    const protocol = chance.pick<Protocol>(["grpc", "grpc-web", "connect"]);
    const log = logOf(self, chance.pick(addresses.direct()), protocol);
    const request = { offset: BigInt(position.next), log: position.log, logId: position.logId };
    for await (const { record, logId } of log.consumeStream(request, { signal }))
      if (record !== undefined)
        position.shown(Number(record.offset), [Buffer.from(record.value).toString()], logId);
  });
};

/** Server-sent events, resumed with the id of the last event. */
export const namedEvents: NamedClient = async (self) => {
  await overNames(self, 8, async ({ chance, addresses, connections }, position, signal) => {
    const path = `/logs/${position.log}?from=${position.next}&follow&log_id=${position.logId}`;
    const headers = { accept: chance.pick(["text/event-stream", "application/x-ndjson"]) };
    const answer = await connections.stream(chance.pick(addresses.direct()), path, headers, signal);
    answer.setEncoding("utf8");
    let rest = "";
    for await (const chunk of answer) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const json = /^(?:data: )?(\{"offset".*)$/.exec(line)?.[1];
        if (json === undefined) continue;
        const { offset, value } = JSON.parse(json) as { offset: number; value: string };
        position.shown(offset, [Buffer.from(value, "base64").toString()]);
      }
    }
    if (answer.statusCode !== 200) throw refusalOf(rest);
  });
};

/** An error body as the error of an RPC would be. */
function refusalOf(body: string): Error {
  const { code = "", message = "" } = JSON.parse(body) as { code?: string; message?: string };
  return Object.assign(new Error(message), { code });
}

/** The package's tail, which finds another node by itself. */
export const namedFollow: NamedClient = async (self) => {
  using client = clusterClient(self);
  await overNames(self, 8, async (_, position, signal) => {
    const log = client.log(position.log, { id: position.logId });
    using tail = log.follow(position.next);
    const stop = (): void => tail[Symbol.dispose]();
    signal.addEventListener("abort", stop, { once: true });
    while (!signal.aborted) {
      const from = tail.position;
      const slice = tail.take();
      if (slice === undefined) {
        if (!(await tail.ready())) return;
        continue;
      }
      const records = [...recordsOf(slice, from)];
      const values = records.map(({ value }) => Buffer.from(value).toString());
      position.shown(records[0]?.offset ?? from, values);
    }
  });
};

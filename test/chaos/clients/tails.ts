/**
 * Clients that tail the log from its start, in every protocol. They continue at another node after a failure and after a
 * random time, from the next offset.
 */
import { recordsOf } from "../../../src/client/mod.ts";
import { type Client, type ClientContext, clusterClient, logOf, pause } from "./client-context.ts";
import { nameIn } from "./values.ts";

/** The position of a tail, and the history of what it was shown. */
class Position {
  readonly #self: ClientContext;
  next = 0;
  readonly #pending: { readonly offset: number; readonly value: string }[] = [];

  constructor(self: ClientContext) {
    this.#self = self;
    self.positions.set(self.name, 0);
    const now = self.history.now();
    self.history.add({ op: "tail", client: self.name, from: 0, start: now, end: now });
  }

  /** Adds one value. Values that arrive in one turn become one operation of the history. */
  one(offset: number, value: string): void {
    if (this.#pending.length === 0) setImmediate(() => this.flush());
    const last = this.#pending.at(-1);
    if (last !== undefined && (last.offset + 1 !== offset || this.#pending.length === 256)) this.flush();
    this.#pending.push({ offset, value });
    this.next = offset + 1;
  }

  flush(): void {
    const pending = this.#pending.splice(0);
    if (pending.length > 0)
      this.shown(
        pending[0]!.offset,
        pending.map(({ value }) => value),
      );
  }

  /** Records values at consecutive offsets from `offset` on. */
  shown(offset: number, values: readonly string[]): void {
    const { history, name } = this.#self;
    if (values.length === 0) return;
    const names = values.map((value) => history.intern(nameIn(value)));
    const now = history.now();
    history.add({ op: "shown", client: name, offset, values: names, start: now, end: now });
    this.next = offset + values.length;
    this.#self.positions.set(name, this.next);
  }

  /** Opens one stream after another. Each ends after at most 12 s. */
  async stream(follow: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal, chance } = this.#self;
    while (!signal.aborted) {
      const end = new AbortController();
      const stop = (): void => end.abort();
      const timer = setTimeout(stop, chance.between(1_000, 12_000));
      signal.addEventListener("abort", stop, { once: true });
      try {
        await follow(end.signal);
      } catch {
        // The stream failed. The next one continues at the same offset.
      }
      clearTimeout(timer);
      this.flush();
      signal.removeEventListener("abort", stop);
      await pause(50, signal);
    }
  }
}

/** The package's tail, which finds another node by itself. */
export const follow: Client = async (self) => {
  using client = clusterClient(self);
  const position = new Position(self);
  using tail = client.commitLog.follow(0);
  const stop = (): void => tail[Symbol.dispose]();
  self.signal.addEventListener("abort", stop, { once: true });
  while (!self.signal.aborted) {
    const from = tail.position;
    const slice = tail.take();
    if (slice === undefined) {
      await tail.ready();
      continue;
    }
    const records = [...recordsOf(slice, from)];
    position.shown(
      records[0]?.offset ?? from,
      records.map(({ value }) => Buffer.from(value).toString()),
    );
  }
};

/** ConsumeStream on one node after another. */
export const consumeStream: Client = async (self) => {
  const position = new Position(self);
  await position.stream(async (signal) => {
    const protocol = self.chance.pick(["grpc", "grpc-web", "connect"] as const);
    const log = logOf(self, self.chance.pick(self.addresses.direct()), protocol);
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
  const position = new Position(self);
  await position.stream(async (signal) => {
    const addr = self.chance.pick(self.addresses.direct());
    const resume = position.next === 0 ? {} : { "last-event-id": String(position.next - 1) };
    const answer = await self.connections.stream(addr, "/tail?from=start", { accept, ...resume }, signal);
    answer.setEncoding("utf8");
    let rest = "";
    for await (const chunk of answer) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const json = /^(?:data: )?(\{"offset".*)$/.exec(line)?.[1];
        if (json === undefined) continue;
        const { offset, value } = JSON.parse(json) as { offset: number; value: string };
        position.one(offset, Buffer.from(value, "base64").toString());
      }
    }
  });
}

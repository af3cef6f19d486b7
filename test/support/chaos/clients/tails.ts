/**
 * Clients that follow the log from its beginning: over every door, going on at another node when one fails or when
 * they feel like it.
 *
 * Never: asks for what it has been shown.
 */
import { recordsOf } from "../../../../src/client/mod.ts";
import { nameIn } from "./values.ts";
import { type Client, clusterClient, logOf, pause, type ClientContext } from "./client-context.ts";

/** Where one tail is, and what it was shown. */
class Position {
  readonly #self: ClientContext;
  next = 0;
  readonly #together: { readonly offset: number; readonly value: string }[] = [];

  constructor(self: ClientContext) {
    this.#self = self;
    self.positions.set(self.name, 0);
    const now = self.history.now();
    self.history.add({ op: "tail", client: self.name, from: 0, start: now, end: now });
  }

  /** One value. What comes together is written down together. */
  one(offset: number, value: string): void {
    if (this.#together.length === 0) setImmediate(() => this.flush());
    const last = this.#together.at(-1);
    if (last !== undefined && (last.offset + 1 !== offset || this.#together.length === 256)) this.flush();
    this.#together.push({ offset, value });
    this.next = offset + 1;
  }

  flush(): void {
    const together = this.#together.splice(0);
    if (together.length > 0)
      this.shown(
        together[0]!.offset,
        together.map(({ value }) => value),
      );
  }

  /** Values as they came, at consecutive offsets from `offset` on. */
  shown(offset: number, values: readonly string[]): void {
    const { history, name } = this.#self;
    if (values.length === 0) return;
    const names = values.map((value) => history.intern(nameIn(value)));
    const now = history.now();
    history.add({ op: "shown", client: name, offset, values: names, start: now, end: now });
    this.next = offset + values.length;
    this.#self.positions.set(name, this.next);
  }

  /** Streams, one after another, each ended after a while at the latest. */
  async stream(follow: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal, chance } = this.#self;
    while (!signal.aborted) {
      const ending = new AbortController();
      const stop = (): void => ending.abort();
      const timer = setTimeout(stop, chance.between(1_000, 12_000));
      signal.addEventListener("abort", stop, { once: true });
      try {
        await follow(ending.signal);
      } catch {
        // Whatever it was, the stream is gone; the next one goes on where this one was.
      }
      clearTimeout(timer);
      this.flush();
      signal.removeEventListener("abort", stop);
      await pause(50, signal);
    }
  }
}

/** The package's own tail, which finds another node by itself. */
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

/** Server-sent events, resumed by the id of the last one. */
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

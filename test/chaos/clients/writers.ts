/**
 * Clients that append, in every way: some to the leader, most to random nodes. Only clients with sequence numbers retry an
 * append with an unknown outcome.
 */
import { encodeRun } from "../../../src/client/mod.ts";
import type { Append } from "../history.ts";
import {
  anyLog,
  atPace,
  bytesOf,
  type Client,
  callMs,
  clusterClient,
  cutOff,
  failureIn,
  failureOf,
  namer,
  pause,
} from "./client-context.ts";
import { type AppendResult, recorded } from "./recorded.ts";
import { bodyOf, nameIn } from "./values.ts";

/** The package's producer: batches, several in flight, exactly once. */
export const producer: Client = async (self) => {
  await using client = clusterClient(self);
  const next = namer(self);
  const sender = client.producer({ lingerMs: 2, deliveryMs: 20_000 });
  const burst = 64;
  let inFlight = 0;
  // Four times the rate of clients with one call per record.
  await atPace(self, (250 * burst) / self.rate, async () => {
    for (let n = 0; n < burst && inFlight < 2_048; n++) {
      const name = next();
      inFlight++;
      void recorded(self, { values: [name], producer: self.name }, async () => {
        return { offset: (await sender.send({ value: bytesOf(name) })).firstOffset };
      }).finally(() => inFlight--);
    }
  });
  await sender.flush();
};

/** A client with its own sequence numbers, which retries until the outcome is known. */
export const stamped: Client = async (self) => {
  using client = clusterClient(self);
  const next = namer(self);
  const id = BigInt(self.chance.uint32());
  let sequence = 0;
  await atPace(self, 4000 / self.rate, async () => {
    const values = Array.from({ length: self.chance.between(1, 5) }, next);
    const run = encodeRun(values.map((name) => ({ value: bytesOf(name) })));
    const stamp = { subject: "", id, epoch: 0, sequence };
    const attempt = async (): Promise<AppendResult> => {
      for (let isUnknown = false; ; isUnknown = true) {
        try {
          return { offset: (await client.commitLog.append(run, { producer: stamp })).firstOffset };
        } catch (reason) {
          // After an attempt with an unknown outcome, a refusal says nothing about that attempt.
          if (self.signal.aborted) throw isUnknown ? new Error("the run ended", { cause: reason }) : reason;
          if (!isUnknown && failureOf(reason).written === "no") throw reason;
          await pause(200, self.signal);
        }
      }
    };
    const result = await recorded(self, { values, producer: self.name }, attempt);
    if ("offset" in result) sequence += values.length;
  });
};

/** Unary calls to random nodes, in random protocols. */
export const unary: Client = async (self) => {
  const next = namer(self);
  await atPace(self, 1000 / self.rate, async () => {
    const name = next();
    const log = anyLog(self, ["grpc", "grpc-web", "connect", "json"]);
    await recorded(self, { values: [name] }, async () => {
      const { offset } = await log.produce({ record: { value: bytesOf(name) } }, { timeoutMs: callMs });
      return { offset: Number(offset) };
    });
  });
};

/** Batches as a browser sends them: Connect, JSON, HTTP/1.1. */
export const batches: Client = async (self) => {
  const next = namer(self);
  await atPace(self, 10_000 / self.rate, async () => {
    const values = Array.from({ length: self.chance.between(2, 58) }, next);
    const log = anyLog(self, ["json"]);
    const records = values.map((name) => ({ value: bytesOf(name) }));
    await recorded(self, { values }, async () => {
      return { offset: Number((await log.produceBatch({ records }, { timeoutMs: callMs })).firstOffset) };
    });
  });
};

/** A stream with one record per message, many in flight, acknowledged in order. */
export const stream: Client = async (self) => {
  const next = namer(self);
  while (!self.signal.aborted) {
    using client = clusterClient(self);
    const sent: { readonly name: string; readonly start: number }[] = [];
    const records = async function* () {
      for (const last = performance.now() + 10_000; performance.now() < last && !self.signal.aborted; ) {
        const name = next();
        sent.push({ name, start: self.history.now() });
        yield { value: bytesOf(name) };
        await pause(1000 / self.rate, self.signal);
      }
    };
    let acked = 0;
    const settleNext = (
      outcome: { readonly offset: number } | { readonly failure: Append["failure"] },
    ): void => {
      const { name, start } = sent[acked++]!;
      const known = {
        op: "append",
        client: self.name,
        values: [name],
        start,
        end: self.history.now(),
      } as const;
      self.history.add(
        "offset" in outcome ? { ...known, ...outcome } : { ...known, failure: outcome.failure! },
      );
    };
    try {
      const options = { window: 32, signal: AbortSignal.timeout(10_000 + callMs) };
      for await (const { firstOffset } of client.produceStream(records(), options))
        settleNext({ offset: firstOffset });
    } catch (reason) {
      // The error is about all unacknowledged records. Only for a single one can it say "not written".
      const failure = sent.length - acked === 1 ? failureOf(reason) : cutOff(reason);
      while (acked < sent.length) settleNext({ failure });
      await pause(200, self.signal);
    }
  }
};

/** Conditional appends at guessed offsets near the end, a few at a time. */
export const conditional: Client = async (self) => {
  const next = namer(self);
  await atPace(self, 2000 / self.rate, async () => {
    const log = anyLog(self, ["grpc"]);
    const description = await log.describe({}, { timeoutMs: callMs }).catch(() => undefined);
    if (description === undefined) return;
    const guesses = Array.from(
      { length: 6 },
      () => Number(description.nextOffset) + self.chance.between(0, 60),
    );
    await Promise.all(
      guesses.map((expectedOffset) => {
        const name = next();
        const request = { record: { value: bytesOf(name) }, expectedOffset: BigInt(expectedOffset) };
        return recorded(self, { values: [name], expectedOffset }, async () => {
          return { offset: Number((await log.produce(request, { timeoutMs: callMs })).offset) };
        });
      }),
    );
  });
};

/** HTTP/1.1 as with curl: posts a record to a node and reads it from the same node. */
export const httpProduceConsume: Client = async (self) => {
  const { history } = self;
  const next = namer(self);
  await atPace(self, 1000 / self.rate, async () => {
    const addr = self.chance.pick(self.addresses.direct());
    const name = next();
    const body = JSON.stringify({ record: { value: Buffer.from(bodyOf(name)).toString("base64") } });
    const start = history.now();
    const posted = await self.connections.http(addr, "/", { method: "POST", body, timeoutMs: callMs });
    const known = { op: "append", client: self.name, values: [name], start, end: history.now() } as const;
    const { offset } = posted.json as { offset?: number };
    if (offset === undefined) {
      history.add({ ...known, failure: failureIn(posted) });
      return;
    }
    history.add({ ...known, offset });
    const asked = history.now();
    const got = await self.connections.http(addr, `/?offset=${offset}`, { timeoutMs: callMs });
    const read = { op: "read", client: self.name, mode: "linearizable", offset, start: asked } as const;
    const { record } = got.json as { record?: { value: string } };
    const missing = got.status === 404 ? { kind: "out-of-range" } : {};
    const answer =
      record === undefined
        ? { failure: { ...failureIn(got), ...missing } }
        : { value: history.intern(nameIn(Buffer.from(record.value, "base64").toString())) };
    history.add({ ...read, end: history.now(), ...answer });
  });
};

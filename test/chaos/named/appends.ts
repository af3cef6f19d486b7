/** Clients that append to named logs: single records, batches, with conditions, with sequences, over HTTP, by the package. */
import {
  anyLog,
  atPace,
  bytesOf,
  type Client,
  callMs,
  clusterClient,
  copies,
  failureIn,
  failureOf,
  isGone,
  logFields,
  namer,
  pause,
} from "../clients/client-context.ts";
import { recorded, resultOf } from "../clients/recorded.ts";
import { bodyOf, largePrefix } from "../clients/values.ts";
import type { MeantLog } from "./known-logs.ts";

/** Single records in every protocol, some at a guessed offset near the end. */
export const namedUnary: Client = copies(3, async (self) => {
  const next = namer(self);
  const ends = new Map<string, number>();
  await atPace(self, 1_500 / self.rate, async () => {
    const { chance, known } = self;
    const meant = known.pick(chance);
    const name = next();
    const end = ends.get(meant.statedId ?? "");
    const expectedOffset = end !== undefined && chance.chance(0.4) ? end + chance.between(0, 2) : undefined;
    const condition = expectedOffset === undefined ? {} : { expectedOffset };
    const log = anyLog(self, ["grpc", "grpc-web", "connect", "json"]);
    await recorded(self, { values: [name], ...condition, ...meant }, async () => {
      const record = { value: bytesOf(name) };
      const conditions = expectedOffset === undefined ? {} : { expectedOffset: BigInt(expectedOffset) };
      const request = { record, ...conditions, ...logFields(meant) };
      const { offset, logId = "" } = await log.produce(request, { timeoutMs: callMs });
      ends.set(logId, Number(offset) + 1);
      return resultOf(meant, offset, logId);
    });
  });
});

/** Larger records to logs that keep only the newest ones: most of what they write can be settled. */
export const namedLarge: Client = copies(3, async (self) => {
  const next = namer({ ...self, name: `${largePrefix}-${self.name}` });
  await atPace(self, 3_000 / self.rate, async () => {
    const meant = self.known.pickRetained(self.chance);
    const name = next();
    await recorded(self, { values: [name], ...meant }, async () => {
      const request = { record: { value: bytesOf(name) }, ...logFields(meant) };
      const { offset, logId = "" } = await anyLog(self).produce(request, { timeoutMs: callMs });
      return resultOf(meant, offset, logId);
    });
  });
});

/** `POST /logs/NAME`, as with curl. */
export const namedHttp: Client = copies(2, async (self) => {
  const next = namer(self);
  await atPace(self, 2_000 / self.rate, async () => {
    const { chance, known, connections, addresses } = self;
    const meant = known.pick(chance);
    const name = next();
    const query = meant.statedId === undefined ? "" : `?log_id=${meant.statedId}`;
    const start = self.history.now();
    const asked = { method: "POST", body: bodyOf(name), timeoutMs: callMs };
    const answer = await connections.http(
      chance.pick(addresses.direct()),
      `/logs/${meant.log}${query}`,
      asked,
    );
    const { offset } = answer.json as { readonly offset?: number };
    const asking = { op: "append", client: self.name, values: [name], ...meant } as const;
    const about = { ...asking, start, end: self.history.now() };
    const logId = answer.headers["tailrace-log-id"];
    if (offset !== undefined && typeof logId === "string") {
      known.learn(meant.log, logId);
      self.history.add({ ...about, offset, logId });
    } else self.history.add({ ...about, failure: failureIn(answer) });
  });
});

/** Batches with sequences of its own, repeated at any node until the outcome is known or the log is gone. */
export const namedStamped: Client = copies(2, async (self) => {
  const next = namer(self);
  const id = BigInt(self.chance.uint32());
  let target: (MeantLog & { readonly statedId: string }) | undefined;
  let [epoch, sequence] = [0, 0];
  await atPace(self, 4_000 / self.rate, async () => {
    if (target === undefined || self.chance.chance(0.05)) {
      const { log } = self.known.pick(self.chance);
      const statedId = self.known.newest(log);
      target = statedId === undefined ? undefined : { log, statedId };
      [epoch, sequence] = [epoch + 1, 0];
    }
    if (target === undefined) return;
    const meant = target;
    const values = Array.from({ length: self.chance.between(1, 5) }, next);
    const producer = { id, epoch, sequence: BigInt(sequence) };
    const records = values.map((name) => ({ value: bytesOf(name) }));
    const request = { records, producer, ...logFields(meant) };
    const result = await recorded(self, { values, producer: `${self.name}-${epoch}`, ...meant }, async () => {
      for (let wasSent = false; ; wasSent = true) {
        try {
          const { firstOffset, logId } = await anyLog(self).produceBatch(request, { timeoutMs: callMs });
          return resultOf(meant, firstOffset, logId);
        } catch (reason) {
          const failure = failureOf(reason, "write", meant.log);
          // After an attempt with an unknown outcome, a refusal says nothing about that attempt.
          const isOver =
            isGone(failure) || failure.kind === "failed-precondition" || /sequen|producer/.test(failure.kind);
          if (self.signal.aborted || (isOver && wasSent))
            throw Object.assign(new Error(failure.message), { cause: reason });
          if (isOver) throw reason;
          await pause(200, self.signal);
        }
      }
    });
    if ("offset" in result) sequence += values.length;
    else target = undefined;
  });
});

/** The package's producers, one for each of some logs. One whose log is gone is replaced. */
export const namedProducer: Client = async (self) => {
  await using client = clusterClient(self);
  const next = namer(self);
  const senders = new Map<string, ReturnType<typeof open>>();
  const open = (log: string, generation: number) => {
    const opened = client.log(log);
    const sender = opened.producer({ lingerMs: 2, deliveryMs: 20_000 });
    return { log, opened, sender, producer: `${self.name}/${log}/${generation}`, generation };
  };
  let inFlight = 0;
  await atPace(self, 2_000 / self.rate, async () => {
    const { log } = self.known.pick(self.chance);
    const used = senders.get(log) ?? open(log, 0);
    senders.set(log, used);
    for (let n = 0; n < 8 && inFlight < 512; n++) {
      const name = next();
      inFlight++;
      const asked = { values: [name], producer: used.producer, log };
      const work = async () => {
        const { firstOffset } = await used.sender.send({ value: bytesOf(name) });
        return resultOf({ log }, firstOffset, used.opened.id);
      };
      const stated = () => (used.opened.id === undefined ? {} : { statedId: used.opened.id });
      void recorded(self, asked, work, stated)
        .then((result) => {
          if ("offset" in result || senders.get(log) !== used) return;
          if (!isGone(result) && result.kind !== "failed-precondition") return;
          used.sender.close();
          senders.set(log, open(log, used.generation + 1));
        })
        .finally(() => inFlight--);
    }
  });
  await Promise.all([...senders.values()].map(({ sender }) => sender.flush()));
};

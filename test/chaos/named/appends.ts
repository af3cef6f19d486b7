/** Clients that append to named logs: single records, batches, with conditions, with sequences, over HTTP, by the package. */
import type { Appended } from "../../../src/types.ts";
import { atPace, callMs, clusterClient, logOf, pause } from "../clients/client-context.ts";
import type { Protocol } from "../clients/node-connections.ts";
import { bodyOf } from "../clients/values.ts";
import type { Append, Failure } from "../history.ts";
import type { MeantLog } from "./known-logs.ts";
import {
  anyLog,
  copies,
  isGone,
  type NamedClient,
  type NamedContext,
  namedFailureOf,
  namer,
  requestOf,
} from "./named-context.ts";

const bytesOf = (name: string): Uint8Array => Buffer.from(bodyOf(name));

type Asked = Pick<Append, "values" | "producer" | "expectedOffset"> & MeantLog;
interface Result {
  readonly offset: number;
  readonly logId: string;
}

/** Runs an append and records the result. `stated` returns the id that the package stated by itself. */
async function recorded(
  { history, name, known }: NamedContext,
  asked: Asked,
  work: () => Promise<Result>,
  stated: () => Pick<MeantLog, "statedId"> = () => ({}),
): Promise<Result | Failure> {
  const about = { op: "append", client: name, ...asked, start: history.now() } as const;
  try {
    const result = await work();
    known.learn(asked.log, result.logId);
    history.add({ ...about, ...stated(), ...result, end: history.now() });
    return result;
  } catch (reason) {
    const failure = namedFailureOf(reason);
    history.add({ ...about, ...stated(), failure, end: history.now() });
    return failure;
  }
}

/** Single records in every protocol, some at a guessed offset near the end. */
export const namedUnary: NamedClient = copies(3, async (self) => {
  const next = namer(self);
  const ends = new Map<string, number>();
  await atPace(self, 1_500 / self.rate, async () => {
    const { chance, known } = self;
    const meant = known.pick(chance);
    const name = next();
    const end = ends.get(meant.statedId ?? "");
    const expectedOffset = end !== undefined && chance.chance(0.4) ? end + chance.between(0, 2) : undefined;
    const condition = expectedOffset === undefined ? {} : { expectedOffset };
    const protocol = chance.pick<Protocol>(["grpc", "grpc-web", "connect", "json"]);
    const log = logOf(self, chance.pick(self.addresses.direct()), protocol);
    await recorded(self, { values: [name], ...condition, ...meant }, async () => {
      const record = { value: bytesOf(name) };
      const conditions = expectedOffset === undefined ? {} : { expectedOffset: BigInt(expectedOffset) };
      const request = { record, ...conditions, ...requestOf(meant) };
      const { offset, logId = "" } = await log.produce(request, { timeoutMs: callMs });
      ends.set(logId, Number(offset) + 1);
      return { offset: Number(offset), logId };
    });
  });
});

/** `POST /logs/NAME`, as with curl. */
export const namedHttp: NamedClient = copies(2, async (self) => {
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
    const { offset, code = String(answer.status), message = "", written, reason } = answer.json as Posted;
    const about = {
      op: "append",
      client: self.name,
      values: [name],
      ...meant,
      start,
      end: self.history.now(),
    } as const;
    const logId = answer.headers["tailrace-log-id"];
    if (offset !== undefined && typeof logId === "string") {
      known.learn(meant.log, logId);
      self.history.add({ ...about, offset, logId });
      return;
    }
    const refusedHere = answer.failed === "ECONNREFUSED";
    const isWritten = written === "no" || refusedHere ? "no" : "unknown";
    const failure = {
      kind: answer.failed ?? code,
      written: isWritten,
      message,
      ...(reason === undefined ? {} : { reason }),
    } as const;
    self.history.add({ ...about, failure });
  });
});

interface Posted {
  readonly offset?: number;
  readonly code?: string;
  readonly message?: string;
  readonly written?: "no" | "unknown";
  readonly reason?: string;
}

/** Batches with sequences of its own, repeated at any node until the outcome is known or the log is gone. */
export const namedStamped: NamedClient = copies(2, async (self) => {
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
    const request = { records, producer, ...requestOf(meant) };
    const result = await recorded(self, { values, producer: `${self.name}-${epoch}`, ...meant }, async () => {
      for (let wasSent = false; ; wasSent = true) {
        try {
          const { firstOffset, logId = "" } = await anyLog(self).produceBatch(request, { timeoutMs: callMs });
          return { offset: Number(firstOffset), logId };
        } catch (reason) {
          const failure = namedFailureOf(reason);
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
export const namedProducer: NamedClient = async (self) => {
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
      const asked: Asked = { values: [name], producer: used.producer, log };
      const work = async (): Promise<Result> => {
        const { firstOffset }: Appended = await used.sender.send({ value: bytesOf(name) });
        return { offset: firstOffset, logId: used.opened.id ?? "" };
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

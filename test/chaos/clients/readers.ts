/**
 * Clients that read the end of the log and single records, in every mode, from random nodes, without retries.
 */
import { ReadMode } from "../../../src/gen/log/v1/log_pb.js";
import type { Mode } from "../history.ts";
import { atPace, type Client, type ClientContext, callMs, failureOf, logOf } from "./client-context.ts";
import { bodyOf, nameIn } from "./values.ts";

const modes: Readonly<Record<Mode, ReadMode>> = {
  linearizable: ReadMode.LINEARIZABLE,
  session: ReadMode.SESSION,
  bounded: ReadMode.BOUNDED,
  any: ReadMode.ANY,
};

interface Freshness {
  readonly seen?: number;
  readonly stalenessMs?: number;
}

type Log = ReturnType<typeof logOf>;

const requestOf = (mode: Mode, { seen, stalenessMs }: Freshness) => ({
  readMode: modes[mode],
  ...(seen === undefined ? {} : { seenOffset: BigInt(seen) }),
  ...(stalenessMs === undefined ? {} : { maxStalenessMs: stalenessMs }),
});

/** Reads the end and records the answer in the history. */
async function askEnd(
  self: ClientContext,
  log: Log,
  mode: Mode,
  freshness: Freshness = {},
): Promise<number | undefined> {
  const { history, name } = self;
  const known = { op: "end", client: name, mode, ...freshness, start: history.now() } as const;
  const start = { case: "fromEnd", value: true } as const;
  const request = { start, stopAtEnd: true, markers: true, ...requestOf(mode, freshness) };
  try {
    let next: number | undefined;
    for await (const answer of log.consumeStream(request, { timeoutMs: callMs }))
      if (answer.caughtUp) next = Number(answer.endOffset);
    if (next === undefined) throw new Error("the end was not marked");
    history.add({ ...known, end: history.now(), next });
    return next;
  } catch (reason) {
    history.add({ ...known, end: history.now(), failure: failureOf(reason, "read") });
    return undefined;
  }
}

/** Reads one record and records the answer in the history. */
async function askRecord(
  self: ClientContext,
  log: Log,
  offset: number,
  mode: Mode,
  freshness: Freshness = {},
): Promise<void> {
  const { history, name } = self;
  const known = { op: "read", client: name, mode, offset, ...freshness, start: history.now() } as const;
  try {
    const request = { offset: BigInt(offset), ...requestOf(mode, freshness) };
    const { record } = await log.consume(request, { timeoutMs: callMs });
    const value = history.intern(nameIn(Buffer.from(record?.value ?? []).toString()));
    history.add({ ...known, end: history.now(), value });
  } catch (reason) {
    history.add({ ...known, end: history.now(), failure: failureOf(reason, "read") });
  }
}

const readsPerSecond = 20;

/** Reads the end of the log and its last record, linearizable, from random nodes. */
export const linearizable: Client = async (self) => {
  const any = (): Log =>
    logOf(self, self.chance.pick(self.addresses.direct()), self.chance.pick(["grpc", "connect"]));
  await atPace(self, 2000 / readsPerSecond, async () => {
    const next = await askEnd(self, any(), "linearizable");
    if (next !== undefined && next > 0) await askRecord(self, any(), next - 1, "linearizable");
  });
};

/** Appends to one node, and reads the record from another with the acknowledged offset. */
export const session: Client = async (self) => {
  const { history, addresses, chance } = self;
  let seen: number | undefined;
  let count = 0;
  await atPace(self, 3000 / readsPerSecond, async () => {
    const value = history.intern(`${self.name}-${count++}`);
    const known = { op: "append", client: self.name, values: [value], start: history.now() } as const;
    try {
      const record = { value: Buffer.from(bodyOf(value)) };
      const log = logOf(self, chance.pick(addresses.direct()), "grpc");
      const { offset } = await log.produce({ record }, { timeoutMs: callMs });
      seen = Number(offset);
      history.add({ ...known, end: history.now(), offset: seen });
    } catch (reason) {
      history.add({ ...known, end: history.now(), failure: failureOf(reason) });
    }
    if (seen === undefined) return;
    await askRecord(self, logOf(self, chance.pick(addresses.direct()), "grpc"), seen, "session", { seen });
    const next = await askEnd(self, logOf(self, chance.pick(addresses.direct()), "grpc"), "session", {
      seen,
    });
    if (next !== undefined && next > 0) seen = Math.max(seen, next - 1);
  });
};

/** Reads the end in the modes "bounded" and "any". */
export const stale: Client = async (self) => {
  await atPace(self, 2000 / readsPerSecond, async () => {
    const log = logOf(self, self.chance.pick(self.addresses.direct()), "grpc");
    if (self.chance.chance(0.3)) await askEnd(self, log, "any");
    else await askEnd(self, log, "bounded", { stalenessMs: self.chance.pick([50, 300, 1000]) });
  });
};

/** Clients that read named logs in every mode, from random nodes and without retries. */
import { ReadMode } from "../../../src/gen/log/v1/log_pb.js";
import { atPace, callMs } from "../clients/client-context.ts";
import { bodyOf, nameIn } from "../clients/values.ts";
import type { Mode } from "../history.ts";
import type { MeantLog } from "./known-logs.ts";
import {
  anyLog,
  copies,
  type NamedClient,
  type NamedContext,
  namedFailureOf,
  namer,
  requestOf,
} from "./named-context.ts";

const modes: Readonly<Record<Mode, ReadMode>> = {
  linearizable: ReadMode.LINEARIZABLE,
  session: ReadMode.SESSION,
  bounded: ReadMode.BOUNDED,
  any: ReadMode.ANY,
};

interface Seen {
  readonly seen?: number;
}

const freshness = (mode: Mode, { seen }: Seen) => ({
  readMode: modes[mode],
  ...(seen === undefined ? {} : { seenOffset: BigInt(seen) }),
  ...(mode === "bounded" ? { maxStalenessMs: 1_000 } : {}),
});

/** Reads the end. Resolves to it and to the id of the log. */
async function askEnd(
  self: NamedContext,
  meant: MeantLog,
  mode: Mode,
  seen: Seen = {},
): Promise<{ readonly next: number; readonly logId: string } | undefined> {
  const { history, name } = self;
  const about = { op: "end", client: name, mode, ...meant, ...seen, start: history.now() } as const;
  const start = { case: "fromEnd", value: true } as const;
  const request = { start, stopAtEnd: true, markers: true, ...freshness(mode, seen), ...requestOf(meant) };
  try {
    let found: { readonly next: number; readonly logId: string } | undefined;
    for await (const { caughtUp, endOffset, logId = "" } of anyLog(self).consumeStream(request, {
      timeoutMs: callMs,
    }))
      if (caughtUp) found = { next: Number(endOffset), logId };
    if (found === undefined) throw new Error("the end was not marked");
    history.add({ ...about, ...found, end: history.now() });
    return found;
  } catch (reason) {
    history.add({ ...about, failure: namedFailureOf(reason, "read"), end: history.now() });
    return undefined;
  }
}

async function askRecord(
  self: NamedContext,
  meant: MeantLog,
  offset: number,
  mode: Mode,
  seen: Seen = {},
): Promise<void> {
  const { history, name } = self;
  const about = { op: "read", client: name, mode, offset, ...meant, ...seen, start: history.now() } as const;
  try {
    const request = { offset: BigInt(offset), ...freshness(mode, seen), ...requestOf(meant) };
    const { record, logId = "" } = await anyLog(self).consume(request, { timeoutMs: callMs });
    const value = history.intern(nameIn(Buffer.from(record?.value ?? []).toString()));
    history.add({ ...about, value, logId, end: history.now() });
  } catch (reason) {
    history.add({ ...about, failure: namedFailureOf(reason, "read"), end: history.now() });
  }
}

/** Reads ends and records in a random mode, by name, by id, and by an old id. */
export const namedReads: NamedClient = copies(3, (self) =>
  atPace(self, 150, async () => {
    const { chance, known } = self;
    const meant = known.pick(chance);
    const mode = chance.pick<Mode>(["linearizable", "linearizable", "session", "bounded", "any"]);
    const found = await askEnd(self, meant, mode);
    if (found === undefined || found.next === 0) return;
    known.learn(meant.log, found.logId);
    const offset = chance.chance(0.5) ? found.next - 1 : chance.between(0, found.next - 1);
    const again = chance.chance(0.7) ? { log: meant.log, statedId: found.logId } : meant;
    await askRecord(self, again, offset, chance.pick<Mode>(["linearizable", "session", "any"]));
  }),
);

/** Appends at one node, and reads the record at others with the acknowledged offset. */
export const namedSession: NamedClient = copies(2, async (self) => {
  const next = namer(self);
  const { chance, history, known } = self;
  await atPace(self, 120, async () => {
    const meant = known.pick(chance);
    const value = next();
    const about = {
      op: "append",
      client: self.name,
      values: [value],
      ...meant,
      start: history.now(),
    } as const;
    let stated: MeantLog;
    let seen: number;
    try {
      const request = { record: { value: Buffer.from(bodyOf(value)) }, ...requestOf(meant) };
      const { offset, logId = "" } = await anyLog(self).produce(request, { timeoutMs: callMs });
      seen = Number(offset);
      history.add({ ...about, offset: seen, logId, end: history.now() });
      known.learn(meant.log, logId);
      stated = { log: meant.log, statedId: logId };
    } catch (reason) {
      history.add({ ...about, failure: namedFailureOf(reason), end: history.now() });
      return;
    }
    await askRecord(self, stated, seen, "session", { seen });
    await askEnd(self, stated, "session", { seen });
  });
});

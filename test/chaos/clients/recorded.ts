/** Appends and reads of a client, recorded in the history with their results. */
import { ReadMode } from "../../../src/gen/log/v1/log_pb.js";
import type { Append, Failure, Mode } from "../history.ts";
import { anyLog, type ClientContext, callMs, failureOf, logFields, type Meant } from "./client-context.ts";
import { nameIn } from "./values.ts";

export interface AppendResult {
  readonly offset: number;
  /** Of a named log. */
  readonly logId?: string;
}

/** The result in the answer of a node. */
export const resultOf = (meant: Meant, offset: bigint | number, logId: string | undefined): AppendResult => ({
  offset: Number(offset),
  ...idOf(meant, logId),
});

const idOf = ({ log }: Meant, logId = ""): { readonly logId?: string } =>
  log === undefined ? {} : { logId };

type Asked = Pick<Append, "values" | "producer" | "expectedOffset"> & Meant;

/** Runs an append and records the result. `stated` returns the id that the package stated by itself. */
export async function recorded(
  { history, name, known }: ClientContext,
  asked: Asked,
  work: () => Promise<AppendResult>,
  stated: () => { readonly statedId?: string } = () => ({}),
): Promise<AppendResult | Failure> {
  const about = { op: "append", client: name, ...asked, start: history.now() } as const;
  try {
    const result = await work();
    if (asked.log !== undefined) known.learn(asked.log, result.logId ?? "");
    history.add({ ...about, ...stated(), ...result, end: history.now() });
    return result;
  } catch (reason) {
    const failure = failureOf(reason, "write", asked.log);
    history.add({ ...about, ...stated(), failure, end: history.now() });
    return failure;
  }
}

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

const readFields = (mode: Mode, { seen, stalenessMs }: Freshness, meant: Meant) => ({
  readMode: modes[mode],
  ...(seen === undefined ? {} : { seenOffset: BigInt(seen) }),
  ...(stalenessMs === undefined ? {} : { maxStalenessMs: stalenessMs }),
  ...logFields(meant),
});

/** Reads the end at a random node. Resolves to it and to the id of a named log. */
export async function askEnd(
  self: ClientContext,
  mode: Mode,
  freshness: Freshness = {},
  meant: Meant = {},
): Promise<{ readonly next: number; readonly logId?: string } | undefined> {
  const { history, name } = self;
  const about = { op: "end", client: name, mode, ...meant, ...freshness, start: history.now() } as const;
  const start = { case: "fromEnd", value: true } as const;
  const request = { start, stopAtEnd: true, markers: true, ...readFields(mode, freshness, meant) };
  try {
    let found: { readonly next: number; readonly logId?: string } | undefined;
    const answers = anyLog(self).consumeStream(request, { timeoutMs: callMs });
    for await (const { caughtUp, endOffset, logId } of answers)
      if (caughtUp) found = { next: Number(endOffset), ...idOf(meant, logId) };
    if (found === undefined) throw new Error("the end was not marked");
    history.add({ ...about, ...found, end: history.now() });
    return found;
  } catch (reason) {
    history.add({ ...about, failure: failureOf(reason, "read", meant.log), end: history.now() });
    return undefined;
  }
}

/** Reads one record at a random node. */
export async function askRecord(
  self: ClientContext,
  offset: number,
  mode: Mode,
  freshness: Freshness = {},
  meant: Meant = {},
): Promise<void> {
  const { history, name } = self;
  const asked = { mode, offset, ...meant, ...freshness };
  const about = { op: "read", client: name, ...asked, start: history.now() } as const;
  try {
    const request = { offset: BigInt(offset), ...readFields(mode, freshness, meant) };
    const { record, logId } = await anyLog(self).consume(request, { timeoutMs: callMs });
    const value = history.intern(nameIn(Buffer.from(record?.value ?? []).toString()));
    history.add({ ...about, value, ...idOf(meant, logId), end: history.now() });
  } catch (reason) {
    history.add({ ...about, failure: failureOf(reason, "read", meant.log), end: history.now() });
  }
}

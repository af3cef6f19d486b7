/** Clients that commit, read and delete cursors, at random nodes and without retries. Often two expect the same version. */
import { createClient } from "@connectrpc/connect";
import { Cursors } from "../../../src/gen/log/v1/log_pb.js";
import {
  atPace,
  type Client,
  type ClientContext,
  copies,
  failureOf,
  logFields,
  type Meant,
} from "../clients/client-context.ts";
import type { CursorCall } from "../history.ts";
import { limit } from "./recorded-change.ts";

const names = ["billing", "mail", "search"];

const anyCursors = ({ chance, connections, addresses }: ClientContext) =>
  createClient(Cursors, connections.transport(chance.pick(addresses.direct()), "grpc"));

/** The versions that a client saw last, by log and cursor. */
type Seen = Map<string, number>;

type Asked = Pick<CursorCall, "action" | "cursor" | "expected" | "offset" | "metadata">;
type Answered = Pick<CursorCall, "logId" | "version" | "offset" | "shown">;

/** Runs a call and records the result. */
async function recorded(
  { history, name: client, known }: ClientContext,
  meant: Meant,
  asked: Asked,
  work: () => Promise<Answered>,
): Promise<number | undefined> {
  const about = { op: "cursor", client, ...meant, ...asked, start: history.now() } as const;
  try {
    const result = await work();
    if (meant.log !== undefined && result.logId !== undefined) known.learn(meant.log, result.logId);
    history.add({ ...about, ...result, end: history.now() });
    return result.version;
  } catch (reason) {
    const failure = failureOf(reason, asked.action === "get" ? "read" : "write", meant.log);
    const isNone = failure.reason === "NO_SUCH_CURSOR" && asked.action === "get";
    history.add({ ...about, ...(isNone ? { version: 0 } : { failure }), end: history.now() });
    return isNone ? 0 : failure.found;
  }
}

const answered = (logId: string | undefined): { readonly logId?: string } =>
  logId === undefined ? {} : { logId };

async function once(self: ClientContext, seen: Seen, metadata: string): Promise<void> {
  const { chance, known } = self;
  const meant: Meant = chance.chance(0.4) ? {} : known.pick(chance);
  // An answer about a cursor that is not there has no id of its log.
  if (meant.log !== undefined && meant.statedId === undefined) return;
  const cursor = chance.pick(names);
  const place = `${meant.statedId} ${cursor}`;
  const draw = chance.float();
  const before = seen.get(place);
  const expected = chance.chance(0.3) ? undefined : before;
  const stated = expected === undefined ? {} : { expected };
  const request = { ...logFields(meant), name: cursor };
  const version = expected === undefined ? {} : { expectedVersion: BigInt(expected) };
  const cursors = anyCursors(self);
  if (draw < 0.6) {
    const asked = { action: "commit", cursor, offset: 0, metadata, ...stated } as const;
    const found = await recorded(self, meant, asked, async () => {
      const { cursor: made, logId } = await cursors.commit(
        { ...request, ...version, offset: 0n, metadata },
        limit,
      );
      return { ...answered(logId), version: Number(made!.version), shown: made!.metadata };
    });
    if (found !== undefined) seen.set(place, found);
  } else if (draw < 0.92) {
    const found = await recorded(self, meant, { action: "get", cursor }, async () => {
      const { cursor: there, logId } = await cursors.get(request, limit);
      return { ...answered(logId), version: Number(there!.version), shown: there!.metadata };
    });
    if (found !== undefined) seen.set(place, found);
  } else
    await recorded(self, meant, { action: "delete", cursor, ...stated }, async () => {
      await cursors.delete({ ...request, ...version }, limit);
      return {};
    });
}

/** All share what they saw: so two expect the same version. */
export const cursors: Client = (self) => {
  const seen: Seen = new Map();
  let commits = 0;
  return copies(6, (copy) =>
    atPace(copy, 9_000 / copy.rate, () => once(copy, seen, `${copy.name}-${commits++}`)),
  )(self);
};

/** Changes of named logs, recorded in the history with their results. */
import { createClient } from "@connectrpc/connect";
import { Logs } from "../../../src/gen/log/v1/log_pb.js";
import { type ClientContext, callMs, failureOf } from "../clients/client-context.ts";
import type { Change, ChangeKind } from "../history.ts";
import type { MeantLog } from "./known-logs.ts";

/** Timeout of a change. */
export const limit = { timeoutMs: callMs };

/** An RPC client of a random node. */
export const anyLogs = ({ chance, connections, addresses }: ClientContext) =>
  createClient(Logs, connections.transport(chance.pick(addresses.direct()), "grpc"));

/** What an answer says. */
export type Changed = Pick<Change, "logId" | "created" | "before" | "lowest">;

/** Runs a change and records the result. */
export async function changed(
  self: ClientContext,
  change: ChangeKind,
  meant: MeantLog,
  work: () => Promise<Changed>,
  asked: Pick<Change, "before"> = {},
): Promise<void> {
  const { history, name, known } = self;
  const about = { op: "change", client: name, change, ...meant, ...asked, start: history.now() } as const;
  try {
    const result = await work();
    if (result.logId !== undefined) known.learn(meant.log, result.logId);
    history.add({ ...about, ...result, end: history.now() });
  } catch (reason) {
    history.add({ ...about, failure: failureOf(reason, "write", meant.log), end: history.now() });
  }
}

/** The fields of a request that name the log. */
export const named = ({ log, statedId }: MeantLog) => ({
  name: log,
  ...(statedId === undefined ? {} : { logId: statedId }),
});

/** Deletes a log. */
export const remove = (self: ClientContext, meant: MeantLog): Promise<void> =>
  changed(self, "delete", meant, async () => {
    await anyLogs(self).deleteLog(named(meant), limit);
    return {};
  });

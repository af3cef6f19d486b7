/** The RPCs of log.v1.Cursors on Connect. */
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Cursors } from "../../../gen/log/v1/log_pb.js";
import { signalOf, unlessAborted } from "../../calls/abort.ts";
import { callOf } from "../../calls/call-context.ts";
import { forwardHeader } from "../../calls/request-headers.ts";
import { freshnessOfCall } from "../logs/create-log.ts";
import type { LogDirectory } from "../logs/log-directory.ts";
import {
  type ChangePorts,
  commitCursor,
  commitMessage,
  cursorMessage,
  deleteCursor,
  extentMessage,
  getCursor,
  listCursors,
  versionOf,
  wantedCommit,
} from "./cursor-calls.ts";

export function cursorsService({ logs }: { readonly logs: LogDirectory }): ServiceImpl<typeof Cursors> {
  return {
    async get(request, context) {
      const call = callOf(context);
      const freshness = freshnessOfCall(call, signalOf(call, context.signal));
      const { cursor, log } = await getCursor(logs, call, request, freshness);
      return { cursor: cursorMessage(cursor, log), ...extentMessage(log) };
    },

    async commit(request, context) {
      return commitMessage(
        await commitCursor(logs, callOf(context), wantedCommit(request), portsOf(context)),
      );
    },

    async list(request, context) {
      const call = callOf(context);
      const freshness = freshnessOfCall(call, signalOf(call, context.signal));
      const { log, cursors, next } = await listCursors(logs, call, request, request, freshness);
      return {
        cursors: cursors.map((cursor) => cursorMessage(cursor, log)),
        next: next ?? "",
        ...extentMessage(log),
      };
    },

    async delete(request, context) {
      const { log, logId, name } = request;
      const wanted = { log, logId, name, expectedVersion: versionOf(request) };
      await deleteCursor(logs, callOf(context), wanted, portsOf(context));
      return {};
    },
  };
}

function portsOf(context: HandlerContext): ChangePorts {
  const signal = signalOf(callOf(context), context.signal);
  return {
    forward: context.requestHeader.get(forwardHeader) !== "no",
    change: (work) => unlessAborted(work, signal, "unknown"),
  };
}

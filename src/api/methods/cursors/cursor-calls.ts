/**
 * The calls of log.v1.Cursors, for Connect's handlers, the fast path and the routes of HTTP. The permission for the log is
 * checked first: only a caller who holds it learns whether the log or the cursor exists.
 *
 * Get and List show at least what was acknowledged before the call: a consumer that begins again must see its last commit.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../../../fault.ts";
import type {
  CommitCursorRequest,
  CommitCursorResponseSchema,
  CursorSchema,
  DeleteCursorRequest,
} from "../../../gen/log/v1/log_pb.js";
import { type CursorInfo, type CursorPage, lagOf } from "../../../lib/names/cursor-info.ts";
import { checkCursorMetadata, cursorNameOf, noSuchCursor } from "../../../lib/names/cursor-name.ts";
import { defaultLog } from "../../../lib/names/log-name.ts";
import type { Freshness, LogChange, LogRef, Offset } from "../../../types.ts";
import type { Call } from "../../calls/call-tracker.ts";
import { appendOptionsOf } from "../append.ts";
import type { CreatePorts } from "../logs/create-log.ts";
import type { LogDirectory, LogExtent, LogInRequest } from "../logs/log-directory.ts";
import { numberOf } from "../messages.ts";

/** Cursors in one page. */
export const cursorPageMax = 256;

/** A cursor, with the extent of its log. */
export interface FoundCursor {
  readonly cursor: CursorInfo;
  readonly log: LogExtent;
}

/** @throws Fault "not-found" for the log or the cursor */
export async function getCursor(
  logs: LogDirectory,
  call: Call,
  request: LogInRequest & { readonly name: string },
  freshness: Freshness,
): Promise<FoundCursor> {
  const name = cursorNameOf(request.name);
  const log = await logs.extentFor(call, request, { ...freshness, mode: "linearizable" });
  const cursor = logs.named.cursor(log.id, name);
  if (cursor === undefined) throw noSuchCursor(log.name, name);
  return { cursor, log };
}

/** @throws Fault "bad-request" for a limit above 256 */
export async function listCursors(
  logs: LogDirectory,
  call: Call,
  request: LogInRequest,
  { after, limit }: { readonly after: string; readonly limit: number },
  freshness: Freshness,
): Promise<CursorPage & { readonly log: LogExtent }> {
  if (limit > cursorPageMax) {
    throw new Fault("bad-request", {
      message: `limit is ${limit}, the largest is ${cursorPageMax}`,
      facts: { field: "limit" },
    });
  }
  const from = after === "" ? "" : cursorNameOf(after);
  const log = await logs.extentFor(call, request, { ...freshness, mode: "linearizable" });
  return { log, ...logs.named.cursors(log.id, from, limit === 0 ? cursorPageMax : limit) };
}

/** How the transport runs a change. */
export type ChangePorts = Pick<CreatePorts, "forward" | "change">;

/** A commit, as the transport has read it. */
export interface WantedCommit extends LogInRequest {
  readonly name: string;
  readonly offset: Offset;
  readonly metadata: string;
  readonly expectedVersion: number | undefined;
}

export interface Committed {
  readonly cursor: CursorInfo;
  readonly created: boolean;
  readonly logId: string | undefined;
}

/** @throws Fault "bad-request", "permission-denied", and as LogCatalog.change() */
export async function commitCursor(
  logs: LogDirectory,
  call: Call,
  { name, offset, metadata, expectedVersion, ...request }: WantedCommit,
  { forward, change }: ChangePorts,
): Promise<Committed> {
  const log = refOf(logs, call, request);
  const cursor = cursorNameOf(name);
  checkCursorMetadata(metadata);
  const wanted: LogChange = {
    ...{ kind: "commit-cursor", log, cursor, offset, metadata },
    ...(expectedVersion === undefined ? {} : { version: expectedVersion }),
  };
  const changed = await change(logs.named.change(wanted, appendOptionsOf(call, {}, forward)));
  if (changed.cursor === undefined) {
    const message = "the answer of the leader has no cursor: it may have been committed";
    throw new Fault("unknown", { message, written: "unknown" });
  }
  const { log: id } = changed.cursor;
  return {
    cursor: changed.cursor,
    created: changed.created,
    logId: logs.idText(id === 0 ? undefined : id),
  };
}

/** @throws as commitCursor() */
export async function deleteCursor(
  logs: LogDirectory,
  call: Call,
  {
    name,
    expectedVersion,
    ...request
  }: LogInRequest & { readonly name: string; readonly expectedVersion: number | undefined },
  { forward, change }: ChangePorts,
): Promise<void> {
  const log = refOf(logs, call, request);
  const wanted: LogChange = {
    ...{ kind: "delete-cursor", log, cursor: cursorNameOf(name) },
    ...(expectedVersion === undefined ? {} : { version: expectedVersion }),
  };
  await change(logs.named.change(wanted, appendOptionsOf(call, {}, forward)));
}

/** The log of a change, after the permission check. */
const refOf = (logs: LogDirectory, call: Call, request: LogInRequest): LogRef =>
  logs.refFor(call, request) ?? { name: defaultLog };

/** @throws Fault "bad-request" for a number that is too large */
export const wantedCommit = (request: CommitCursorRequest): WantedCommit => ({
  ...{ log: request.log, logId: request.logId, name: request.name, metadata: request.metadata },
  offset: numberOf(request.offset, "offset"),
  expectedVersion: versionOf(request),
});

export const versionOf = ({
  expectedVersion,
}: Pick<DeleteCursorRequest, "expectedVersion">): number | undefined =>
  expectedVersion === undefined ? undefined : numberOf(expectedVersion, "expected_version");

/** `log`: to say how far the cursor is behind. */
export const cursorMessage = (
  cursor: CursorInfo,
  log?: Pick<LogExtent, "lowest" | "next">,
): MessageInitShape<typeof CursorSchema> => ({
  name: cursor.name,
  offset: BigInt(cursor.offset),
  metadata: cursor.metadata,
  version: BigInt(cursor.version),
  createdMs: BigInt(cursor.createdMs),
  committedMs: BigInt(cursor.committedMs),
  ...(cursor.owner === undefined ? {} : { owner: cursor.owner }),
  ...(log === undefined ? {} : { lag: BigInt(lagOf(cursor, log)) }),
});

/** The extent of the log and its id, as the fields of a response. */
export const extentMessage = ({ lowest, next, logId }: LogExtent) => ({
  lowestOffset: BigInt(lowest),
  nextOffset: BigInt(next),
  ...(logId === undefined ? {} : { logId }),
});

export const commitMessage = ({
  cursor,
  created,
  logId,
}: Committed): MessageInitShape<typeof CommitCursorResponseSchema> => ({
  cursor: cursorMessage(cursor),
  created,
  ...(logId === undefined ? {} : { logId }),
});

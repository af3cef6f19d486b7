/**
 * A `PUT /v1/stream/NAME` with Stream-Forked-From: a new stream that begins with the messages of another one.
 *
 *   Stream-Forked-From         the path of the other stream
 *   Stream-Fork-Offset         the messages before this offset are shown. Default: all that there are now
 *   Stream-Fork-Sub-Offset     and so many of those after it: messages of JSON, or bytes of the next message. Default 0
 *
 * Content type and lifetime are those of the other stream unless they are stated. The place is found on this node, and stated to the
 * leader with the id of the other stream.
 */
import { Fault } from "../../../../fault.ts";
import { decodeRecord, RecordCursor } from "../../../../log/mod.ts";
import type { LogFork, LogInfo, LogRef, NamedLogSettings, Offset } from "../../../../types.ts";
import { keptForForks } from "../../../methods/logs/create-log.ts";
import { memoryWaitMs } from "../../../methods/read-admission.ts";
import { readOne } from "../../../methods/read-one.ts";
import { type Exchange, headerOf, quoted } from "../../exchange/exchange.ts";
import { type BegunCall, freshnessOf, type OneLogRequest } from "../../logs/log-call.ts";
import { badRequest, refOf } from "../stream-call.ts";
import { parseStreamStart, type StreamLifetime, type StreamStart } from "../stream-headers.ts";
import { isStreamPath, streamNameOf } from "../stream-path.ts";
import { formOf, isSameType, typeOfStream } from "../stream-type.ts";

/** What the headers of a PUT say about a fork. */
export interface AskedFork {
  /** The name of the stream that is forked. */
  readonly source: string;
  readonly start: StreamStart | undefined;
  readonly subOffset: number;
}

/** A fork that the leader can make. */
export interface FoundFork {
  readonly source: LogRef;
  readonly at: Omit<LogFork, "source">;
  /** The place is the end of the source, which moves: a repeated request can find another one. */
  readonly isAtEnd: boolean;
  readonly settings: NamedLogSettings & { readonly contentType: string };
}

/** Returns what is asked; undefined for a PUT that is no fork. @throws Fault "bad-request" */
export function askedForkOf(exchange: Pick<Exchange, "headers">): AskedFork | undefined {
  const from = headerOf(exchange, "stream-forked-from");
  const offset = headerOf(exchange, "stream-fork-offset");
  const sub = headerOf(exchange, "stream-fork-sub-offset");
  if (from === undefined) {
    const [stray] = [
      ...(offset === undefined ? [] : ["Stream-Fork-Offset"]),
      ...(sub === undefined ? [] : ["Stream-Fork-Sub-Offset"]),
    ];
    return stray === undefined ? undefined : badRequest(`${stray} needs Stream-Forked-From`, stray);
  }
  if (!isStreamPath(from))
    return badRequest(
      `Stream-Forked-From is the path of a stream, such as /v1/stream/NAME, not "${quoted(from)}"`,
      "Stream-Forked-From",
    );
  return {
    source: streamNameOf(from),
    start: offset === undefined ? undefined : parseStreamStart(offset, "Stream-Fork-Offset"),
    subOffset: subOffsetOf(sub),
  };
}

function subOffsetOf(text: string | undefined): number {
  if (text === undefined) return 0;
  const number = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(number)) return number;
  return badRequest(
    `Stream-Fork-Sub-Offset must be a whole number from 0 on, without zeros in front, not "${quoted(text)}"`,
    "Stream-Fork-Sub-Offset",
  );
}

/**
 * Finds the place in the source, with everything that is acknowledged.
 * @throws Fault "not-found"; "failed-precondition" for another content type, and for a source that was deleted; "out-of-range"
 */
export async function findFork(
  { exchange, options }: OneLogRequest,
  begun: BegunCall,
  asked: AskedFork,
  stated: StreamLifetime & { readonly contentType: string | undefined },
): Promise<FoundFork> {
  const { named } = options.logs;
  const freshness = freshnessOf(begun);
  const info = await sourceOf(
    named.open({ name: asked.source }).info({ ...freshness, mode: "linearizable" }),
  );
  const contentType = typeOfStream(info);
  if (stated.contentType !== undefined && !isSameType(stated.contentType, contentType))
    throw new Fault("failed-precondition", {
      message: `the stream "${info.name}" has the content type ${contentType}, the fork has ${stated.contentType}`,
      facts: { name: info.name, reason: "CONTENT_TYPE" },
    });
  const { ttlMs, expiresAtMs } = isLifetime(stated) ? stated : info.settings;
  const settings = {
    contentType: stated.contentType ?? contentType,
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  };
  const log = named.open(refOf(info));
  const valueBytesAt = async (offset: Offset): Promise<number> => {
    const { memory, clock } = options;
    using share = memory.share("out");
    const plan = { start: { offset }, waitMs: 0, freshness };
    const admission = { sink: exchange, memory, clock, signal: begun.signal, share, waitMs: memoryWaitMs };
    const { slice } = await readOne(log, plan, admission);
    const cursor = new RecordCursor(slice.frames, offset);
    if (!cursor.next()) throw new Fault("corrupt", { message: `a batch does not hold offset ${offset}` });
    return decodeRecord(cursor.frames, cursor.start, cursor.end).value.length;
  };
  const at = await placeOf(info, asked, valueBytesAt);
  const isAtEnd = asked.start === undefined || asked.start === "now";
  return { source: refOf(info), at, isAtEnd, settings };
}

/** A source that was deleted and is kept for other forks cannot be forked again. */
async function sourceOf(found: Promise<LogInfo>): Promise<LogInfo> {
  try {
    return await found;
  } catch (reason) {
    if (!(reason instanceof Fault) || reason.facts.reason !== keptForForks) throw reason;
    throw new Fault("failed-precondition", { message: reason.message, facts: { reason: keptForForks } });
  }
}

async function placeOf(
  info: LogInfo,
  { start = "now", subOffset }: AskedFork,
  valueBytesAt: (offset: Offset) => Promise<number>,
): Promise<FoundFork["at"]> {
  const { next: end, lowest } = info;
  const offset = start === "now" ? end : start === "start" ? lowest : start;
  const isOfBytes = formOf(typeOfStream(info)) !== "json";
  const next = subOffset === 0 ? offset : offset + (isOfBytes ? 1 : subOffset);
  if (next > end || !Number.isSafeInteger(next)) throw outOf(info, offset, subOffset);
  if (subOffset === 0 || !isOfBytes) return { next };
  const length = await valueBytesAt(offset);
  if (subOffset > length) throw outOf(info, offset, subOffset, ` of a message of ${length} bytes`);
  return subOffset === length ? { next } : { next, cut: subOffset };
}

const outOf = ({ name, next }: LogInfo, offset: Offset, subOffset: number, message?: string): Fault => {
  const sub = subOffset === 0 ? "" : ` with the sub-offset ${subOffset}`;
  return new Fault("bad-request", {
    message: `the offset ${offset}${sub} is beyond the end${message ?? ` of "${name}", which is ${next}`}`,
    facts: { field: subOffset === 0 ? "Stream-Fork-Offset" : "Stream-Fork-Sub-Offset" },
  });
};

const isLifetime = ({ ttlMs, expiresAtMs }: StreamLifetime): boolean =>
  ttlMs !== undefined || expiresAtMs !== undefined;

/** Returns whether a stream is the fork that is asked for; for no fork, whether it is none. */
export function isThatFork({ fork }: LogInfo, asked: FoundFork | undefined): boolean {
  if (asked === undefined || fork === undefined) return asked === undefined && fork === undefined;
  const { next, cut } = asked.at;
  return fork.source === asked.source.id && (asked.isAtEnd || (fork.next === next && fork.cut === cut));
}

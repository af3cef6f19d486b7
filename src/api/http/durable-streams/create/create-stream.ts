/**
 * `PUT /v1/stream/NAME`: creates a stream, with its first records if there is a body. The same request again is 200, one with
 * another configuration 409. With `If-None-Match: *`, a stream that was there is 412.
 *
 * With Stream-Forked-From it begins with the messages of another stream (fork-stream.ts).
 *
 * The log is created first, then its records are appended. A request that failed in between is completed by its repetition: the
 * records are appended if the stream is still empty.
 */
import { Fault } from "../../../../fault.ts";
import type { LogChange, LogInfo, NamedLogSettings } from "../../../../types.ts";
import { unlessAborted } from "../../../calls/abort.ts";
import { streamRoutePermissions } from "../../../calls/method-permissions.ts";
import { forwardHeader } from "../../../calls/request-headers.ts";
import { appendOptionsOf } from "../../../methods/append.ts";
import { createdOrFound } from "../../../methods/logs/create-log.ts";
import { objectOfLog } from "../../../methods/logs/log-directory.ts";
import { requiredLog } from "../../../methods/logs/log-message.ts";
import { headerOf, listOf, pathOf } from "../../exchange/exchange.ts";
import { answer, type BegunCall, freshnessOf, logExists, type OneLogRequest } from "../../logs/log-call.ts";
import { bytesType } from "../../logs/value-headers.ts";
import { appendToStream, readStreamBody, recordsOf, showClosed } from "../append-to-stream.ts";
import {
  asStream,
  badRequest,
  identityHeaders,
  locationOf,
  openStream,
  refOf,
  rejectHeaders,
} from "../stream-call.ts";
import {
  expiryText,
  guardHeaders,
  infoHeaders,
  isTrue,
  lifetimeHeaders,
  lifetimeOf,
  type StreamLifetime,
} from "../stream-headers.ts";
import { checkedContentType, isSameType, typeOfStream } from "../stream-type.ts";
import { type AskedFork, askedForkOf, type FoundFork, findFork, isThatFork } from "./fork-stream.ts";

/** Conditions, and parts of an append to `/logs`. */
const otherDoors = [
  "If-Match",
  "Tailrace-Expected-Offset",
  "Tailrace-Producer",
  "Tailrace-Key",
  "Tailrace-Key-Base64",
] as const;

/** What the headers of a PUT say. */
interface Stated extends StreamLifetime {
  readonly contentType: string | undefined;
  readonly closed: boolean;
  readonly fork: AskedFork | undefined;
}

/** What a PUT asks for. */
interface AskedStream {
  readonly settings: NamedLogSettings & { readonly contentType: string };
  readonly closed: boolean;
  readonly fork?: FoundFork;
}

/** Serves `PUT /v1/stream/NAME`. */
export function putStream(plain: OneLogRequest): Promise<void> {
  const request = asStream(plain);
  const { exchange, client, options, name } = request;
  return answer(
    request,
    streamRoutePermissions.create,
    name,
    async () => {
      rejectHeaders(request, otherDoors, "a PUT takes If-None-Match: *");
      const mustBeNew = requiresNew(request);
      const stated = statedOf(request);
      const { fork } = stated;
      if (fork !== undefined) {
        // A fork keeps the records of its source from trims and retention.
        for (const action of ["consume", "trim"] as const)
          options.access.authorize(client.identity, objectOfLog(fork.source), action);
      }
      if (stated.closed) options.access.authorize(client.identity, name, "configure");
      const body = await readStreamBody(request);
      if (body.length > 0) options.access.authorize(client.identity, name, "produce");
      return { stated, body, mustBeNew };
    },
    async (begun, { stated, body, mustBeNew }) => {
      const asked = await askedOf(request, begun, stated);
      const { contentType } = asked.settings;
      const run = body.length === 0 ? undefined : await recordsOf(request, contentType, body);
      const { info, created } = await createOrFind(request, begun, asked);
      if (!created && mustBeNew) throw existing(info);
      const isNew = info.next === (info.fork?.next ?? 0) && !info.closed;
      const first = run === undefined || run.count === 0 ? undefined : run;
      const closes = asked.closed && !info.closed;
      const differences = created ? [] : differencesOf(info, asked, isNew);
      if (differences.length > 0) throw otherStream(info, differences);
      const fills = isNew && (first !== undefined || closes);
      const shown = fills ? await fill(request, begun, info, first, closes) : info;
      const showsEnd = created || fills || options.logs.mayDescribe(begun.call, name);
      return {
        status: created ? 201 : 200,
        headers: {
          "content-type": typeOfStream(info),
          "cache-control": "no-store",
          ...guardHeaders,
          ...identityHeaders(info),
          ...(showsEnd ? infoHeaders(shown) : lifetimeHeaders(shown)),
          ...(created ? { location: locationOf(exchange, client.secure, pathOf(exchange)) } : {}),
        },
      };
    },
  );
}

/** @throws Fault "bad-request" */
function statedOf({ exchange }: OneLogRequest): Stated {
  const type = headerOf(exchange, "content-type");
  return {
    contentType: type === undefined || type === "" ? undefined : checkedContentType(type),
    ...lifetimeOf(exchange),
    closed: isTrue(exchange, "stream-closed"),
    fork: askedForkOf(exchange),
  };
}

async function askedOf(
  request: OneLogRequest,
  begun: BegunCall,
  { fork, closed, ...stated }: Stated,
): Promise<AskedStream> {
  if (fork === undefined)
    return { settings: { ...stated, contentType: stated.contentType ?? bytesType }, closed };
  const found = await findFork(request, begun, fork, stated);
  return { settings: found.settings, closed, fork: found };
}

/** Creates the log, or returns the one that is there, as it is on the leader. */
async function createOrFind(
  request: OneLogRequest,
  begun: BegunCall,
  { settings, fork }: AskedStream,
): Promise<{ readonly info: LogInfo; readonly created: boolean }> {
  const { exchange, options, name } = request;
  const forward = headerOf(exchange, forwardHeader) !== "no";
  const wanted: LogChange =
    fork === undefined
      ? { kind: "create", name, settings }
      : { kind: "fork", name, settings, source: fork.source, at: fork.at };
  return createdOrFound(
    async () => {
      const work = options.logs.named.change(wanted, appendOptionsOf(begun.call, {}, forward));
      const { log, created } = await unlessAborted(work, begun.signal, "unknown");
      return { info: requiredLog(log), created };
    },
    async () => ({ info: (await openStream(request, begun, "linearizable")).info, created: false }),
  );
}

/**
 * Appends the first records to an empty stream, and returns the stream after that. Another client may have been faster: then it
 * has the records of that one.
 */
async function fill(
  request: OneLogRequest,
  begun: BegunCall,
  info: LogInfo,
  first: Awaited<ReturnType<typeof recordsOf>> | undefined,
  closes: boolean,
): Promise<LogInfo> {
  const run = first ?? { bytes: new Uint8Array(0), count: 0 };
  const stream = closes ? ({ closes: true } as const) : {};
  const log = refOf(info);
  const wanted = { run, log, expectedOffset: info.next, stream };
  const { firstOffset, count } = await appendToStream(request, begun, wanted);
  if (closes)
    await showClosed({ log: request.options.logs.named.open(log), info, freshness: freshnessOf(begun) });
  // The name is not looked up again: it can mean another log by now.
  return { ...info, next: firstOffset + count, closed: closes || info.closed };
}

/** How a stream that is there differs from the one that is asked for. Empty: the request is repeated. */
function differencesOf(
  info: LogInfo,
  { settings, closed, fork }: AskedStream,
  isNew: boolean,
): readonly string[] {
  const { ttlMs, expiresAtMs } = info.settings;
  const differences: string[] = [];
  const compare = (what: string, found: string, asked: string): void => {
    if (found !== asked) differences.push(`${what} is ${found}, asked was ${asked}`);
  };
  if (!isThatFork(info, fork)) differences.push(forkDifference(info, fork));
  if (!isSameType(typeOfStream(info), settings.contentType))
    compare("the content type", typeOfStream(info), settings.contentType);
  compare("Stream-TTL", secondsText(ttlMs), secondsText(settings.ttlMs));
  compare("Stream-Expires-At", timeText(expiresAtMs), timeText(settings.expiresAtMs));
  if (info.closed !== closed && !(isNew && closed))
    differences.push(info.closed ? "it is closed" : "it is open");
  return differences;
}

function forkDifference({ fork }: LogInfo, asked: FoundFork | undefined): string {
  if (fork === undefined) return "it is no fork";
  return asked === undefined ? "it is a fork" : "it is a fork of another stream, or of another place in it";
}

const secondsText = (ms: number | undefined): string => (ms === undefined ? "absent" : `${ms / 1000}`);
const timeText = (ms: number | undefined): string => (ms === undefined ? "absent" : expiryText(ms));

/** Returns whether the request has `If-None-Match: *`. @throws Fault "bad-request" for another condition, and for log_id */
function requiresNew({ exchange, params }: OneLogRequest): boolean {
  if (params.has("log_id"))
    return badRequest("a PUT takes no log_id: a new stream gets another id", "log_id");
  const noneMatch = listOf(exchange, "if-none-match")?.trim();
  if (noneMatch === undefined || noneMatch === "*") return noneMatch === "*";
  return badRequest("If-None-Match of a PUT must be *", "If-None-Match");
}

const existing = ({ name }: LogInfo): Fault =>
  new Fault("already-exists", {
    message: `there is a stream "${name}", and If-None-Match requires a new one`,
    facts: { name, reason: logExists },
  });

const otherStream = ({ name }: LogInfo, differences: readonly string[]): Fault =>
  new Fault("already-exists", {
    message: `there is a stream "${name}" with another configuration: ${differences.join("; ")}`,
    facts: { name },
  });

/**
 * `GET /tail?log=A&log=B` and `GET /tail?prefix=P`: the records of several logs in the order in which the cluster appended
 * them, as server-sent events or as lines of JSON. Each record has the name of its log and the log's id.
 *
 *   ?log=NAME …, ?log_id=ID …      the logs, and the ids that they must have: none, or one for each name
 *   ?prefix=P                      all named logs whose names begin with it; empty: all named logs
 *   ?from=TOKEN | start | end      default end; Last-Event-ID wins
 *   ?limit=, ?format=, ?batch=     as for /tail
 *
 * The id of an event is a token (resume-token.ts), with which a reader goes on at any node; a line has it as "resume". What is
 * no record is an event of another name: "position" with the token and the ends of the logs, "deleted", "error".
 */
import { Fault } from "../../../fault.ts";
import type { MultiTail } from "../../../types.ts";
import { signalOf } from "../../calls/abort.ts";
import type { Call } from "../../calls/call-tracker.ts";
import { logRoutePermissions } from "../../calls/method-permissions.ts";
import { ReadHold } from "../../methods/read-admission.ts";
import { noLimits, ReadLimit } from "../../methods/read-limit.ts";
import { type AskedLogs, askedLogs } from "../../methods/tails/asked-logs.ts";
import { filteredOf, filteredTail, markerMs } from "../../methods/tails/filtered-read.ts";
import { type MultiEvent, MultiRead } from "../../methods/tails/multi-read.ts";
import { parseResumeToken, resumeToken } from "../../methods/tails/resume-token.ts";
import { endsOf, type MultiMarker } from "../../methods/tails/tail-logs-message.ts";
import { callMetaOf } from "../call-meta.ts";
import { ampersandHint } from "../exchange/ampersand-hint.ts";
import { headerOf, quoted } from "../exchange/exchange.ts";
import { type Form, runStream, tailFormOf } from "../http-tail.ts";
import { parseRest, type TailRequest } from "../tail-request.ts";
import { logMembers, type TextPlan, textChunks } from "../tails/tail-text.ts";
import type { LogRequest } from "./log-call.ts";
import { routeParams } from "./route-params.ts";

/** Approximate size of one read. */
const sliceBytes = 64 * 1024;

type Asked = AskedLogs & Omit<TailRequest, "start">;

export function serveTailOfLogs(request: LogRequest): Promise<void> {
  const { exchange, client, options, params } = request;
  const form = tailFormOf(exchange);
  return runStream(exchange, client, options.tail, {
    permission: logRoutePermissions.tailLogs,
    meta: callMetaOf(exchange),
    form,
    async open(call) {
      const asked = parse(params, headerOf(exchange, "last-event-id") ?? "");
      const signal = signalOf(call, exchange.signal);
      let tail: MultiTail;
      try {
        const found = await options.logs.followFor(call, asked, { signal });
        tail = filteredTail(found, asked.filter, options.tail);
      } catch (reason) {
        if (form.opensFirst || !isOfToken(reason)) throw reason;
        return { headers: {}, send: () => Promise.reject(reason as Error) };
      }
      return {
        headers: {},
        send: (begun, during) => send(request, form, tail, asked, begun, during),
        close: () => tail[Symbol.dispose](),
      };
    },
  });
}

/** The place of a token is not here: too old, or of another life. As for one log, that is an event and no status. */
const isOfToken = (reason: unknown): boolean =>
  reason instanceof Fault &&
  (reason.kind === "out-of-range" ||
    (reason.facts.reason === "ANOTHER_LIFE" && reason.facts["name"] === undefined));

const known: readonly string[] = routeParams.tailLogs;
const repeatable: readonly string[] = ["log", "log_id"];

/** @throws Fault "bad-request" */
function parse(params: URLSearchParams, lastEventId: string): Asked {
  const reject = (message: string, field: string): never => {
    throw new Fault("bad-request", { message, facts: { field } });
  };
  for (const name of params.keys()) {
    if (!known.includes(name))
      return reject(
        `there is no parameter ${quoted(name)} here, only ${known.join(", ")}${ampersandHint(name)}`,
        quoted(name),
      );
    if (!repeatable.includes(name) && params.getAll(name).length > 1)
      return reject(`${name} is given more than once`, name);
  }
  if (params.has("cursor")) return reject("a cursor belongs to one log: name one log", "cursor");
  const from = lastEventId === "" ? (params.get("from") ?? "end") : lastEventId;
  const resume = from === "start" || from === "end" ? "" : from;
  if (resume !== "" && lastEventId === "") parseResumeToken(resume, "from", "start, end or ");
  else if (resume !== "") parseResumeToken(resume, "Last-Event-ID");
  const logs = askedLogs({
    names: params.getAll("log"),
    logIds: params.getAll("log_id"),
    prefix: params.get("prefix") ?? undefined,
    resume,
    fromStart: from === "start",
  });
  return { ...logs, ...parseRest(params) };
}

async function send(
  { exchange, options }: LogRequest,
  form: Form,
  tail: MultiTail,
  { limit: recordsMax, format, batch = 1 }: Asked,
  call: Call,
  signal: AbortSignal,
): Promise<void> {
  const { clock, traffic, pingMs, memory, textCache } = options.tail;
  const heartbeatMs = markerMs(pingMs, filteredOf(tail) !== undefined);
  const limit = new ReadLimit({ ...noLimits, recordsMax });
  const hold = new ReadHold(memory, { keeps: false, cut: () => exchange.destroy() });
  const reading = { clock, signal, heartbeatMs, sliceBytes, sink: exchange, memory, hold };
  using read = new MultiRead(tail, reading);
  const sendEvent = async (event: MultiEvent): Promise<boolean> => {
    if (typeof event === "string") return exchange.write(Buffer.from(positionOf(event, form, tail)));
    if ("deleted" in event) {
      const line = JSON.stringify(logMembers(event.deleted, tail.life));
      return exchange.write(Buffer.from(form.notice("deleted", line)));
    }
    const { log, slice, from } = event;
    const plan: TextPlan = { form, format, batch, of: { log, life: tail.life } };
    const isShared = recordsMax === 0 && slice.kept === undefined && from <= slice.firstOffset;
    const chunks = isShared ? textCache.chunks(slice, plan) : textChunks(slice, from, limit, plan);
    for (const { bytes, records } of chunks) {
      call.bytesOut += bytes.length;
      traffic.sent(records, bytes.length);
      const written = exchange.write(bytes);
      hold.rendered();
      if (!(await written)) return false;
      hold.progress(bytes.length);
    }
    return !limit.isSpent;
  };
  // A separate function: the batches are unreachable when it returns.
  const step = async (): Promise<boolean> => {
    const event = await read.next();
    return event !== undefined && (await sendEvent(event));
  };
  while (await step());
}

/** Where the reader is, and the end of what is committed on this node. */
function positionOf(event: MultiMarker, form: Form, tail: MultiTail): string {
  const { life, position, end } = tail;
  const token = resumeToken({ life, ...position });
  const ends = endsOf(event, tail).map((log) => ({ ...logMembers(log, life), next: log.next }));
  const resume = form.name === "lines" ? { resume: token } : {};
  const skipped = filteredOf(tail)?.skipped ?? 0;
  const line = { ...resume, end_index: end, ends, ...(skipped === 0 ? {} : { skipped }) };
  return form.notice(event === "suspended" ? event : "position", JSON.stringify(line), token);
}

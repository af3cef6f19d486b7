/**
 * `GET /v1/stream/NAME?live=sse`: the records of a stream as server-sent events, on and on. After each event with records comes
 * one that says where the reader goes on.
 *
 *   event: data          the records
 *   event: control       {"streamNextOffset", "streamCursor", "upToDate"?}; at the end of a closed stream "streamClosed"
 *
 * The response ends after a minute, so that caches get a new one. The reader goes on with another request.
 */
import type { BatchSlice, LogInfo, Offset } from "../../../types.ts";
import { signalOf } from "../../calls/abort.ts";
import type { Call } from "../../calls/call-tracker.ts";
import { streamRoutePermissions } from "../../calls/method-permissions.ts";
import { followSlices, type OpenRead, openRead } from "../../methods/read.ts";
import { ReadHold } from "../../methods/read-admission.ts";
import { pacerOf } from "../../methods/tails/pacer.ts";
import { callMetaOf } from "../call-meta.ts";
import type { ResponseHeaders } from "../exchange/exchange.ts";
import { type Form, runStream } from "../http-tail.ts";
import type { OneLogRequest } from "../logs/log-call.ts";
import { type SentText, TextSender } from "../tails/text-sender.ts";
import { controlEvent, dataEvent, isShared, joinedWith, nothingHeld } from "./event-text.ts";
import { startOf } from "./read-stream.ts";
import { asStream, identityHeaders, noteRead, noteReads, rejectHeaders, statedLog } from "./stream-call.ts";
import { nextCursor } from "./stream-cursor.ts";
import { guardHeaders, offsetText } from "./stream-headers.ts";
import { formOf, type StreamForm, typeOfStream } from "./stream-type.ts";

/** How long a response lasts. */
const responseMs = 60_000;
/** Approximate size of one read. */
const sliceBytes = 64 * 1024;
/** The largest end of an event that is copied, to be written together with the event that follows. */
const joinedBytesMax = 4 * 1024;

/** Events of this protocol. A fault ends the response: the reader repeats its request, and gets the status. */
const form: Form = {
  name: "events",
  contentType: "text/event-stream",
  opensFirst: true,
  opening: "",
  ping: ": ping\n\n",
  closing: "",
  event: () => "",
  notice: () => "",
};

/** Serves a stream of events. */
export function streamEvents(plain: OneLogRequest): Promise<void> {
  const request = asStream(plain);
  const { exchange, client, options, name } = request;
  return runStream(exchange, client, options.tail, {
    permission: streamRoutePermissions.events,
    meta: { ...callMetaOf(exchange), object: name },
    form,
    refusal: request.refusal,
    async open(call) {
      rejectHeaders(request, ["If-Match"], "events have no ETag");
      const start = startOf(request, true);
      const signal = signalOf(call, exchange.signal);
      const { named } = options.logs;
      const log = named.open(statedLog(request));
      const info = await log.info({ signal });
      await noteRead(request, call, info);
      const plan = {
        start:
          start === "now" ? ({ end: true } as const) : { offset: start === "start" ? info.lowest : start },
        limits: { recordsMax: 0, bytesMax: 0, endOffset: undefined },
        stopAtEnd: false,
        freshness: {},
      };
      const read = await openRead(log, plan, signal);
      options.calls.beginTail(call, { of: read.tail });
      const streamForm = formOf(typeOfStream(info));
      return {
        headers: { ...headersOf(streamForm), ...identityHeaders(info) },
        send: (begun, until) => new EventSender(request, begun, streamForm, { read, info }).send(until, log),
        close: () => read.tail[Symbol.dispose](),
      };
    },
  });
}

const headersOf = (streamForm: StreamForm): ResponseHeaders => ({
  ...guardHeaders,
  "cache-control": "no-cache",
  ...(streamForm === "bytes" ? { "stream-sse-data-encoding": "base64" } : {}),
});

class EventSender {
  readonly #request: OneLogRequest;
  readonly #call: Call;
  readonly #form: StreamForm;
  readonly #read: OpenRead;
  readonly #info: LogInfo;
  readonly #hold: ReadHold;
  #held: Buffer = nothingHeld;
  /** The position that the last control event said to be the end. */
  #upToDateAt: Offset | undefined;

  constructor(
    request: OneLogRequest,
    call: Call,
    streamForm: StreamForm,
    { read, info }: { readonly read: OpenRead; readonly info: LogInfo },
  ) {
    this.#request = request;
    this.#call = call;
    this.#form = streamForm;
    this.#read = read;
    this.#info = info;
    const { exchange, options } = request;
    this.#hold = new ReadHold(options.memory, {
      keeps: false,
      cut: () => exchange.destroy(),
      shares: (slice) => isShared(slice, read.from),
    });
  }

  async send(
    signal: AbortSignal,
    log: ReturnType<OneLogRequest["options"]["logs"]["named"]["open"]>,
  ): Promise<void> {
    const { exchange, options } = this.#request;
    const { clock, memory } = options;
    const read = this.#read;
    const sender = new TextSender({
      ...{ exchange, call: this.#call, traffic: options.traffic, clock },
      hold: this.#hold,
    });
    using _ = noteReads(this.#request, this.#call, this.#info);
    const timer = clock.after(responseMs, () => read.tail[Symbol.dispose]());
    const following = {
      ...{ clock, signal, heartbeatMs: options.tail.pingMs, sliceBytes, sink: exchange, memory },
      hold: this.#hold,
      pacer: pacerOf(clock),
    };
    try {
      await followSlices(read, following, (event) => {
        // It has no filter.
        if (event === "suspended") return false;
        if (event === "heartbeat") return exchange.write(Buffer.from(form.ping));
        return event === "caught-up" ? this.#caughtUp() : sender.send(this.#pieces(event));
      });
    } finally {
      timer.cancel();
    }
    const { closed, next } = await log.info({ mode: "any" });
    if (!closed || read.tail.position < next) return;
    const end = { streamNextOffset: offsetText(read.tail.position), upToDate: true, streamClosed: true };
    // No record completes the character.
    const last = this.#held.length === 0 ? "" : dataEvent("\ufffd");
    void exchange.write(Buffer.from(last + controlEvent(end)));
  }

  /** The events of a slice, each with the control event after it. */
  *#pieces(slice: BatchSlice): Generator<SentText, void, undefined> {
    const start = { from: this.#read.from, held: this.#held };
    for (const chunk of this.#request.options.tail.streamEvents.chunks(this.#form, slice, start)) {
      const { bytes, ends } = chunk;
      if (ends === undefined) {
        yield { bytes, records: 0 };
        continue;
      }
      this.#held = ends.held;
      const { records, next } = ends;
      const isLast = next >= slice.nextOffset;
      const control = this.#control(next);
      if (bytes.length <= joinedBytesMax) {
        yield { bytes: joinedWith(chunk, control), records, isLast };
        continue;
      }
      yield { bytes, records };
      yield { bytes: Buffer.from(control), records: 0, isLast };
    }
  }

  #caughtUp(): boolean | Promise<boolean> {
    const { position } = this.#read.tail;
    if (this.#upToDateAt === position) return true;
    return this.#request.exchange.write(Buffer.from(this.#control(position)));
  }

  #control(next: Offset): string {
    const { options, params } = this.#request;
    const { clock } = options;
    const isAtEnd = next >= (this.#read.tail.end ?? next);
    if (isAtEnd) this.#upToDateAt = next;
    return controlEvent({
      streamNextOffset: offsetText(next),
      streamCursor: nextCursor(params.get("cursor") ?? undefined, clock.wallMs(), clock.monotonicMs()),
      ...(isAtEnd ? { upToDate: true } : {}),
    });
  }
}

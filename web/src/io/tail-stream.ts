/**
 * One ConsumeStream over fetch: sends the request, passes on the messages of every chunk, and returns why the stream
 * ended. core/wire decodes the envelopes, because a message object for each record would cost a busy tail more than
 * drawing it.
 */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { endStreamFromJson, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { ConsumeRequestSchema } from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { classify, localFailure, type StreamFailure } from "../core/failure.ts";
import { type Consumed, EnvelopeReader, readConsumed } from "../core/wire.ts";
import { asCallError, credentialsFor } from "./calls.ts";
import { after, breathe, monotonicMs } from "./timing.ts";

/** A server sends a heartbeat every 15 s. Without a byte for so long the connection is dead. */
const silenceMsMax = 40_000;
/** Work without a break, before the browser may draw. */
const stretchMs = 8;

export interface TailStream {
  readonly base: string;
  readonly request: MessageInitShape<typeof ConsumeRequestSchema>;
  /** For the words of an error: the offset that was asked for. */
  readonly position: number | undefined;
  /** Receives the messages of one chunk. A promise pauses the stream until it resolves. */
  onMessages(messages: readonly Consumed[]): Promise<void> | undefined;
}

/** Reads until the stream ends. Returns the reason, or undefined if `signal` ended it. */
export async function readTail(stream: TailStream, signal: AbortSignal): Promise<StreamFailure | undefined> {
  const own = new AbortController();
  const stop = (): void => own.abort();
  signal.addEventListener("abort", stop);
  let silent = false;
  const watch = (): (() => void) =>
    after(silenceMsMax, () => {
      silent = true;
      own.abort();
    });
  let unwatch = watch();
  try {
    const response = await request(stream, own.signal);
    if (!response.ok) return classify(await refusal(response), stream.position);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const envelopes = new EnvelopeReader();
    let stretchFrom = monotonicMs();
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      unwatch();
      const messages: Consumed[] = [];
      for (const { flag, message } of envelopes.push(chunk.value)) {
        if ((flag & 2) !== 0) {
          if (messages.length > 0) await stream.onMessages(messages);
          return signal.aborted ? undefined : ending(message, stream.position);
        }
        messages.push(readConsumed(message));
      }
      const held = messages.length > 0 ? stream.onMessages(messages) : undefined;
      if (held !== undefined) await held;
      if (signal.aborted) return undefined;
      if (monotonicMs() - stretchFrom > stretchMs) {
        await breathe();
        stretchFrom = monotonicMs();
      }
      unwatch = watch();
    }
    return localFailure("ended", "the connection was closed");
  } catch (error) {
    if (signal.aborted) return undefined;
    if (silent) return localFailure("silent", `nothing was heard for ${silenceMsMax / 1000} s`);
    if (error instanceof RangeError) return localFailure("ended", `unreadable stream: ${error.message}`);
    return localFailure("network", "the node does not answer");
  } finally {
    unwatch();
    signal.removeEventListener("abort", stop);
    own.abort();
  }
}

function request(stream: TailStream, signal: AbortSignal): Promise<Response> {
  const message = toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, stream.request));
  const body = encodeEnvelope(message);
  return fetch(`${stream.base}/log.v1.Log/ConsumeStream`, {
    method: "POST",
    headers: { "content-type": "application/connect+proto", "connect-protocol-version": "1" },
    body,
    signal,
    credentials: credentialsFor(stream.base),
    cache: "no-store",
  });
}

/** The end-of-stream message: an error, or a good end. */
function ending(message: Uint8Array<ArrayBuffer> | Uint8Array, position: number | undefined): StreamFailure {
  const { error } = endStreamFromJson(message as Uint8Array<ArrayBuffer>);
  if (error === undefined) return localFailure("ended", "the server closed the stream");
  return classify(asCallError(error), position);
}

/** An answer other than 200: Connect's JSON if it is that, else the status. */
async function refusal(response: Response): ReturnType<typeof errorOf> {
  return errorOf(response);
}

async function errorOf(response: Response): Promise<ReturnType<typeof asCallError>> {
  const fallback = new ConnectError(`HTTP ${response.status}`, codeOf(response.status));
  try {
    const bytes = new Uint8Array(await response.arrayBuffer());
    return asCallError(errorFromJsonBytes(bytes, response.headers, fallback));
  } catch {
    return asCallError(fallback);
  }
}

function codeOf(status: number): Code {
  if (status === 401) return Code.Unauthenticated;
  if (status === 403) return Code.PermissionDenied;
  if (status === 429 || status >= 502) return Code.Unavailable;
  return status === 404 || status === 415 || status === 405 ? Code.Unimplemented : Code.Unknown;
}

/**
 * The body of a request on its way to Connect, with what Connect does not see to: it counts what is gathered of all
 * bodies together, it ends a body that is not complete by the deadline, and it hands on what stands before a message
 * that is too large by itself, so that this is served first.
 *
 * Never: changes a byte.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { MemoryShare } from "../../memory/mod.ts";
import { connectErrorOf } from "../calls/error-mapping.ts";

const envelopeBytes = 5;

export interface BodyLimits {
  readonly share: MemoryShare;
  readonly clock: Clock;
  /** Point on the monotonic clock; asked once the call has begun. Undefined: the body may take any time. */
  readonly deadlineMs: () => number | undefined;
  readonly messageBytesMax: number;
}

/**
 * Makes the body count on the share; its reader gets Fault "overloaded" when there is no room, and "deadline". Streams
 * see to their deadline themselves.
 */
export function limitRequestBody(
  request: UniversalServerRequest,
  kind: DescMethod["methodKind"],
  limits: BodyLimits,
): void {
  const body = request.body as AsyncIterable<Uint8Array>;
  const stream = kind === "client_streaming" || kind === "bidi_streaming";
  request.body = stream ? streamBody(body, limits) : wholeBody(body, limits);
}

async function* wholeBody(body: AsyncIterable<Uint8Array>, limits: BodyLimits): AsyncGenerator<Uint8Array> {
  const { share, clock } = limits;
  const deadlineMs = limits.deadlineMs();
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => undefined);
  const timer =
    deadlineMs === undefined
      ? undefined
      : clock.after(Math.max(0, deadlineMs - clock.monotonicMs()), () =>
          late.reject(connectErrorOf(new Fault("deadline"))),
        );
  const chunks = body[Symbol.asyncIterator]();
  let total = 0;
  try {
    for (;;) {
      const step = await (timer === undefined ? chunks.next() : Promise.race([chunks.next(), late.promise]));
      if (step.done === true) return;
      total += step.value.length;
      share.hold(total);
      share.progress(step.value.length);
      yield step.value;
    }
  } catch (reason) {
    // Of a single message Connect itself is the reader, and knows its own errors only.
    throw connectErrorOf(reason);
  } finally {
    timer?.cancel();
    // Not waited for: a body that is late is waiting itself.
    void chunks.return?.().catch(() => undefined);
  }
}

async function* streamBody(
  body: AsyncIterable<Uint8Array>,
  { share, messageBytesMax }: BodyLimits,
): AsyncGenerator<Uint8Array> {
  const messages = new Messages(messageBytesMax);
  for await (const chunk of body) {
    const oversized = messages.follow(chunk);
    share.hold(messages.gathered);
    share.progress(chunk.length);
    if (oversized > 0) yield chunk.subarray(0, oversized);
    yield oversized > 0 ? chunk.subarray(oversized) : chunk;
  }
}

/** Follows the prefixes of the messages; a length that lies is Connect's to refuse. */
class Messages {
  /** Of the message that is incomplete, bytes. */
  gathered = 0;
  readonly #bytesMax: number;
  readonly #prefix = Buffer.alloc(envelopeBytes);
  #inPrefix = 0;
  #left = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Answers where in the chunk the first message begins that is too large, −1 when none does. */
  follow(chunk: Uint8Array): number {
    let oversized = -1;
    let got = this.gathered;
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const bytes = Math.min(this.#left, chunk.length - at);
        this.#left -= bytes;
        got += bytes;
        at += bytes;
        continue;
      }
      got = 0;
      this.#prefix[this.#inPrefix++] = chunk[at++] as number;
      if (this.#inPrefix < envelopeBytes) continue;
      this.#inPrefix = 0;
      this.#left = this.#prefix.readUInt32BE(1);
      if (this.#left > this.#bytesMax && oversized < 0) oversized = Math.max(0, at - envelopeBytes);
    }
    this.gathered = this.#left > 0 ? got : 0;
    return oversized;
  }
}

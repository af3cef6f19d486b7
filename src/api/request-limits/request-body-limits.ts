/**
 * Limits that Connect does not apply to the body of a request. The incomplete messages of all requests count in one
 * memory budget. A body that is not complete at the deadline fails. A message that is too large is passed on in a chunk
 * of its own, so that the messages before it are served first. The bytes are not changed.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { Fault } from "../../fault.ts";
import { envelopeBytes } from "../../lib/envelope.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { MemoryShare } from "../../memory/mod.ts";
import { connectErrorOf } from "../calls/error-mapping.ts";

export interface BodyLimits {
  readonly share: MemoryShare;
  readonly clock: Clock;
  /** Deadline on the monotonic clock, read when Connect begins to read. Undefined: no deadline. */
  readonly deadlineMs: () => number | undefined;
  readonly messageBytesMax: number;
}

/**
 * Replaces the body of `request` by one that keeps the limits. Reading it throws Fault "overloaded" if the budget is
 * full, and Fault "deadline". The handlers of streams observe the deadline themselves.
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
    // Connect reads a single message itself, and passes on only its own kind of error.
    throw connectErrorOf(reason);
  } finally {
    timer?.cancel();
    // Not awaited: return() of a body that is late waits for its next chunk.
    void chunks.return?.().catch(() => undefined);
  }
}

async function* streamBody(
  body: AsyncIterable<Uint8Array>,
  { share, messageBytesMax }: BodyLimits,
): AsyncGenerator<Uint8Array> {
  const messages = new MessageFollower(messageBytesMax);
  for await (const chunk of body) {
    const oversized = messages.follow(chunk);
    share.hold(messages.gathered);
    share.progress(chunk.length);
    if (oversized > 0) yield chunk.subarray(0, oversized);
    yield oversized > 0 ? chunk.subarray(oversized) : chunk;
  }
}

/** Follows the prefixes of the messages in a body. Connect refuses a wrong length. */
class MessageFollower {
  /** Bytes of the incomplete message. */
  gathered = 0;
  readonly #bytesMax: number;
  readonly #prefix = Buffer.alloc(envelopeBytes);
  #inPrefix = 0;
  #left = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Returns the position in the chunk of the first message that is too large, −1 if there is none. */
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

/** TailLogs: follow several logs, with the sender of all tails (tail-sender.ts). Records are not decoded. */
import { create, toBinary } from "@bufbuild/protobuf";
import { TailLogsRequestSchema, TailLogsResponseSchema } from "../../../gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../lib/envelope.ts";
import type { MultiTail } from "../../../types.ts";
import { askedLogs } from "../../methods/tails/asked-logs.ts";
import { filteredOf, filteredTail } from "../../methods/tails/filtered-read.ts";
import { deletionOf, markerOf, type TailLogsMessage } from "../../methods/tails/tail-logs-message.ts";
import { decodeMessage } from "../codec/decode-message.ts";
import type { ServeMethod } from "../fast-path-context.ts";
import { receiveUnary } from "../unary-message.ts";
import { renderTailed } from "./tail-logs-rendering.ts";
import { type Marker, type Portion, type SentTail, sendTail } from "./tail-sender.ts";

export const serveTailLogs: ServeMethod = (context, call) => {
  receiveUnary(call, context.requestBytesMax, (bytes, start, end) => {
    const request = decodeMessage(TailLogsRequestSchema, bytes.subarray(start, end));
    const asked = askedLogs(request);
    sendTail(context, call, async (signal) => {
      const tail = await context.logs.followFor(call.tracked, asked, { signal });
      return new LogsTail(filteredTail(tail, request.filter, context));
    });
  });
};

/** Markers and deletions are messages of protobuf-es. */
const encoded = (message: TailLogsMessage): Uint8Array =>
  encodeEnvelope(toBinary(TailLogsResponseSchema, create(TailLogsResponseSchema, message)));

const noFrames = new Uint8Array(0);

class LogsTail implements SentTail {
  readonly markers = true;
  readonly beginsWithBeat = true;
  readonly usesBuffers = false;
  readonly #tail: MultiTail;

  constructor(tail: MultiTail) {
    this.#tail = tail;
  }

  get isFiltered(): boolean {
    return filteredOf(this.#tail) !== undefined;
  }

  /** Otherwise it ends when its logs are closed or deleted. */
  get ending(): SentTail["ending"] {
    return filteredOf(this.#tail)?.isSuspended === true ? "suspended" : undefined;
  }

  get isBehind(): boolean {
    return this.#tail.position.index <= this.#tail.end;
  }

  nextBytes(): number {
    return this.#tail.nextBytes();
  }

  take(): Portion | "later" | undefined {
    const found = this.#tail.take();
    if (found === undefined || found === "later") return found;
    if ("slice" in found) return renderTailed(found, this.#tail.life);
    return {
      bytes: encoded(deletionOf(found, this.#tail.life)),
      records: 0,
      payloadBytes: 0,
      frames: noFrames,
    };
  }

  ready(): Promise<boolean> {
    return this.#tail.ready();
  }

  marker(marker: Marker): Uint8Array {
    return encoded(markerOf(marker, this.#tail));
  }

  [Symbol.dispose](): void {
    this.#tail[Symbol.dispose]();
  }
}

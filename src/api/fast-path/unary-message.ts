/** Receives the one message of a unary request, in any framing. A body above the size limit fails the call before it is kept. */
import { Fault } from "../../fault.ts";
import { messageTooLarge } from "../request-limits/message-limits.ts";
import { EnvelopeReader } from "./envelope-reader.ts";
import type { FastCall } from "./fast-call.ts";
import { attempt, checkFlags, incompleteMessage, onChunk } from "./request-chunks.ts";

/** A smaller piece is part of the fixed cost of a call. */
const countedBytesMin = 4 * 1024;

/** Receives `bytes[start … end)`, which is valid during the call. What it throws fails the call. */
export type TakeMessage = (bytes: Uint8Array, start: number, end: number) => void;

/** Calls `take` with the message when the request is complete. Everything else fails the call. */
export function receiveUnary(call: FastCall, messageBytesMax: number, take: TakeMessage): void {
  if (call.request.framing === "connect-unary")
    receiveBare(
      call,
      messageBytesMax,
      () => messageTooLarge(messageBytesMax),
      (body) => take(body, 0, body.length),
    );
  else receiveEnveloped(call, messageBytesMax, take);
}

function receiveEnveloped(call: FastCall, messageBytesMax: number, take: TakeMessage): void {
  const reader = new EnvelopeReader(messageBytesMax, call.requestMemory);
  let messages = 0;
  onChunk(call, (chunk) => {
    if (messages > 0) throw severalMessages();
    reader.push(chunk);
    if (!reader.take()) return;
    checkFlags(reader.flags);
    messages++;
    if (reader.pending > 0) throw severalMessages();
  });
  call.stream.onEnd = () => {
    if (call.endIfExpired()) return;
    if (messages === 0) call.fail(reader.pending > 0 ? incompleteMessage(reader.pending) : noMessage());
    else attempt(call, () => take(reader.bytes, reader.start, reader.end));
  };
}

/** Calls `take` with the body when the request is complete. It may be kept. */
export function receiveBare(
  call: FastCall,
  bytesMax: number,
  tooLarge: () => Fault,
  take: (body: Uint8Array) => void,
): void {
  let body: Uint8Array = new Uint8Array(0);
  let buffer: Uint8Array = body;
  onChunk(call, (chunk) => {
    const total = body.length + chunk.length;
    call.requestMemory.progress(chunk.length);
    if (total > bytesMax) throw tooLarge();
    if (body.length === 0) {
      if (chunk.length >= countedBytesMin) call.requestMemory.hold(chunk.length);
      body = chunk;
      return;
    }
    if (total > buffer.length) {
      call.requestMemory.hold(total * 2);
      buffer = Buffer.allocUnsafeSlow(total * 2);
      buffer.set(body, 0);
    }
    buffer.set(chunk, body.length);
    body = buffer.subarray(0, total);
  });
  call.stream.onEnd = () => {
    if (!call.endIfExpired()) attempt(call, () => take(body));
  };
}

const noMessage = (): Fault => new Fault("unimplemented", { message: "the request holds no message" });
const severalMessages = (): Fault =>
  new Fault("unimplemented", { message: "the request holds more than one message" });

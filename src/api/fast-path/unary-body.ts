/**
 * The one message of a unary request, in any framing. Bounded: a body longer than the limit fails the call before it
 * is held.
 *
 * Never: decodes the message.
 */
import { Fault } from "../../fault.ts";
import { EnvelopeReader, flag, tooLarge } from "./envelope.ts";
import type { ExpressCall } from "./fast-call.ts";

/** Calls back with the message once the client has said all; what else happens fails the call. */
export function readUnary(
  express: ExpressCall,
  messageBytesMax: number,
  take: (bytes: Uint8Array, start: number, end: number) => void,
): void {
  if (express.request.framing === "connect-unary") readBare(express, messageBytesMax, take);
  else readEnveloped(express, messageBytesMax, take);
}

function readEnveloped(
  express: ExpressCall,
  messageBytesMax: number,
  take: (bytes: Uint8Array, start: number, end: number) => void,
): void {
  const reader = new EnvelopeReader(messageBytesMax, express.held);
  let messages = 0;
  guard(express, (chunk) => {
    if (messages > 0) throw twoMessages();
    reader.push(chunk);
    if (!reader.take()) return;
    checkFlags(reader.flags);
    messages++;
    if (reader.pending > 0) throw twoMessages();
  });
  express.stream.onEnd = () => {
    if (express.over) return;
    if (messages === 0) express.fail(reader.pending > 0 ? cutShort(reader.pending) : noMessage());
    else attempt(express, () => take(reader.bytes, reader.start, reader.end));
  };
}

function readBare(
  express: ExpressCall,
  messageBytesMax: number,
  take: (bytes: Uint8Array, start: number, end: number) => void,
): void {
  let body: Uint8Array = new Uint8Array(0);
  let room: Uint8Array = body;
  guard(express, (chunk) => {
    const total = body.length + chunk.length;
    express.held.progress(chunk.length);
    if (total > messageBytesMax) {
      throw tooLarge(messageBytesMax);
    }
    if (body.length === 0) {
      body = chunk;
      return;
    }
    if (total > room.length) {
      express.held.hold(total * 2);
      room = Buffer.allocUnsafeSlow(total * 2);
      room.set(body, 0);
    }
    room.set(chunk, body.length);
    body = room.subarray(0, total);
  });
  express.stream.onEnd = () => {
    if (!express.over) attempt(express, () => take(body, 0, body.length));
  };
}

/** Hands chunks on until the call is over; what the handler throws fails the call. */
export function guard(express: ExpressCall, onChunk: (chunk: Uint8Array) => void): void {
  express.stream.onData = (chunk) => {
    if (!express.over) attempt(express, () => onChunk(chunk));
  };
}

/** Runs `work`; what it throws fails the call. */
export function attempt(express: ExpressCall, work: () => void): void {
  try {
    work();
  } catch (reason) {
    express.fail(reason);
  }
}

/** A message of this lane is never compressed, and no client ends its own stream with a flag. */
export function checkFlags(flags: number): void {
  if (flags === 0) return;
  // No encoding can have been named: such a request is not of this lane.
  if ((flags & flag.compressed) !== 0) throw new Fault("unexpected-compression");
  throw new Fault("bad-request", { message: `an envelope has flags ${flags}, expected 0` });
}

/** A body that ends inside a message. */
export function cutShort(bytes: number): Fault {
  return new Fault("bad-request", {
    message: `the body ends inside a message, ${bytes} bytes of it arrived`,
  });
}

const noMessage = (): Fault => new Fault("unimplemented", { message: "the request holds no message" });
const twoMessages = (): Fault =>
  new Fault("unimplemented", { message: "the request holds more than one message" });

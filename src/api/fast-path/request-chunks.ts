/** Receives the chunks of a request body: what a handler throws fails its call. With the faults of a malformed body. */
import { Fault } from "../../fault.ts";
import { envelopeFlag } from "../../lib/envelope.ts";
import type { FastCall } from "./fast-call.ts";

/** Passes chunks on until the call is over. What `receive` throws fails the call. */
export function onChunk(call: FastCall, receive: (chunk: Uint8Array) => void): void {
  call.stream.onData = (chunk) => {
    if (!call.over) attempt(call, () => receive(chunk));
  };
}

/** Runs `work`. What it throws fails the call. */
export function attempt(call: FastCall, work: () => void): void {
  try {
    work();
  } catch (reason) {
    call.fail(reason);
  }
}

/**
 * Refuses a message with flags. Requests with a message encoding are not served by the fast path, so a compressed
 * message is an error (gRPC, "Compression"), and no client sets a flag to end its stream.
 * @throws Fault "unexpected-compression", "bad-request"
 */
export function checkFlags(flags: number): void {
  if (flags === 0) return;
  if ((flags & envelopeFlag.compressed) !== 0) throw new Fault("unexpected-compression");
  throw new Fault("bad-request", { message: `an envelope has flags ${flags}, expected 0` });
}

/** The fault for a body that ends inside a message, of which `bytes` bytes arrived. */
export function incompleteMessage(bytes: number): Fault {
  return new Fault("bad-request", {
    message: `the body ends inside a message, ${bytes} bytes of it arrived`,
  });
}

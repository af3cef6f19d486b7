/** Padding and priority fields of frame payloads (RFC 9113 §6.1 to §6.3). */
import { ConnectionError } from "./connection-error.ts";
import { errorCode, frameFlag } from "./frames.ts";

/** The bytes of the priority fields: a stream dependency and a weight. */
export const priorityBytes = 5;

/** Returns the header block fragment of a HEADERS frame, without padding and priority. */
export function headerFragment(flags: number, id: number, payload: Buffer): Buffer {
  let at = flags & frameFlag.padded ? 1 : 0;
  if (flags & frameFlag.priority) {
    if (payload.length < at + priorityBytes) {
      throw new ConnectionError(errorCode.frameSize, "HEADERS is too short for its priority");
    }
    if (dependency(payload, at) === id) {
      throw new ConnectionError(errorCode.protocol, "a stream cannot depend on itself");
    }
    at += priorityBytes;
  }
  return flags & frameFlag.padded ? unpadded(payload, at - 1) : payload.subarray(at);
}

/** The stream that the priority fields at `at` depend on. */
export const dependency = (payload: Buffer, at: number): number => payload.readUInt32BE(at) & 0x7fff_ffff;

/** Returns the payload without its padding, its length byte, and `skip` bytes behind that. */
export function unpadded(payload: Buffer, skip: number): Buffer {
  const padding = payload[0];
  const start = 1 + skip;
  if (padding === undefined || padding > payload.length - start) {
    throw new ConnectionError(errorCode.protocol, "the padding is longer than the payload");
  }
  return payload.subarray(start, payload.length - padding);
}

/** Packs the values that nodes send each other. Pure. */
import { Fault } from "../../fault.ts";
import { isAllowedMsgpack, pack } from "../../replication/mod.ts";

/**
 * Packs a value as MessagePack.
 * @throws Fault "bad-request" if `value` is not a plain value: lists, maps, text, numbers, booleans, null, bytes
 */
export function packPlain(value: unknown): Uint8Array {
  let packed: Uint8Array | undefined;
  let cause: unknown;
  try {
    packed = pack(value);
  } catch (reason) {
    cause = reason;
  }
  if (packed !== undefined && isAllowedMsgpack(packed)) return packed;
  throw new Fault("bad-request", { message: "only plain values can be sent to a peer", cause });
}

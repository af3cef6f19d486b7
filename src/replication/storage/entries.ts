/**
 * Conversion of log frames to Raft entries. Pure.
 *
 *   frame of kind data, trim, settings   an entry without a change
 *   frame of kind no-op                  a leader's first entry
 *   frame of kind configuration          an entry with a change; command := msgpack(ConfChange)
 *
 * An entry's bytes are its whole frame: index, term and change are read from it and are sent nowhere else. Frames are
 * not copied. They are not checked here: a peer's frames are checked on receipt (frame-format.ts).
 */
import { Fault } from "../../fault.ts";
import { batchKind, frameCommand, frameIndex, frameKind, frameTerm } from "../../log/mod.ts";
import type { ConfChange, Entry } from "../../raft/mod.ts";
import { isChange } from "./configuration-check.ts";
import { pack, unpack } from "./msgpack.ts";
export function encodeChange(change: ConfChange): Uint8Array {
  return pack(change);
}

/**
 * Decodes the command of a configuration frame.
 * @throws Fault "corrupt" for a command that is not a configuration change
 */
export function decodeChange(command: Uint8Array): ConfChange {
  let change: unknown;
  let cause: unknown;
  try {
    change = unpack(command);
  } catch (reason) {
    cause = reason;
  }
  if (isChange(change)) return change;
  throw new Fault("corrupt", { message: "a configuration command is malformed", cause });
}

/** Returns a valid frame as an entry, without a copy. */
export function entryOf(frame: Uint8Array): Entry {
  const kind = frameKind(frame, 0);
  return {
    index: frameIndex(frame, 0),
    term: frameTerm(frame, 0),
    bytes: frame,
    change: kind === batchKind.configuration ? decodeChange(frameCommand(frame, 0)) : undefined,
  };
}

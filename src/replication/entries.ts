/**
 * Frames of the log as entries of Raft, and back. Pure.
 *
 *   frame of kind data, trim, settings   an entry without a change
 *   frame of kind no-op                  a leader's first entry
 *   frame of kind configuration          an entry with a change; command := msgpack(ConfChange)
 *
 * An entry's bytes are its whole frame, so index, term and change are read from it and travel nowhere else.
 *
 * Never: checks a frame (the log does when it takes one), copies one.
 */
import { Packr } from "msgpackr";
import { Fault } from "../fault.ts";
import { batchKind, frameCommand, frameIndex, frameKind, frameTerm } from "../log/mod.ts";
import type { ConfChange, Entry } from "../raft/mod.ts";
import type { NodeId } from "../types.ts";
import { isChange } from "./configuration-check.ts";

/** Plain maps and no shared structures: what one node packs every other can read alone. */
const packr = new Packr({ useRecords: false });

export const pack = (value: unknown): Uint8Array => packr.pack(value);
export const unpack = (bytes: Uint8Array): unknown => packr.unpack(bytes);

export function encodeChange(change: ConfChange): Uint8Array {
  return pack(change);
}

/** Throws Fault "corrupt" for a command that is not a change of configuration. */
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

/** The entry that a sound frame is. */
export function entryOf(frame: Uint8Array): Entry {
  const kind = frameKind(frame, 0);
  return {
    index: frameIndex(frame, 0),
    term: frameTerm(frame, 0),
    bytes: frame,
    change: kind === batchKind.configuration ? decodeChange(frameCommand(frame, 0)) : undefined,
  };
}

/**
 * The number that a node has in Raft: 48 bits of its data directory's identity, which is drawn by chance. So a
 * number is never used twice, and an empty directory under an old name is somebody else.
 */
export function peerIdOf(directoryId: Uint8Array): number {
  let peer = 0;
  for (let at = 0; at < 6; at++) peer = peer * 256 + directoryId[at]!;
  return peer + 1;
}

/** A directory's identity as it is written in configurations and handshakes. */
export const directoryText = (directoryId: Uint8Array): string => Buffer.from(directoryId).toString("hex");

/** Who this node is, for good. */
export interface NodeIdentity {
  readonly name: NodeId;
  readonly directory: string;
  readonly peer: number;
}

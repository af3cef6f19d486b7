/**
 * The start of a log as a snapshot holds it: one map of msgpack. It is unpacked and checked only once: the connection does it, and
 * the storage gets the same bytes.
 */
import { atOnce } from "../../lib/time/in-slices.ts";
import { checkStartFields, type LogStart, type OpenedStart } from "../../log/mod.ts";
import { packWith, unpackWith } from "./producer-list.ts";

const path = ["checkpoint", "producers"];

/** The starts that were unpacked and checked, by their bytes. */
const known = new WeakMap<Uint8Array, LogStart>();

/** Packs a start, in steps, and closes its producers. `rows`: the base file. @throws Fault "corrupt", "disk-busy" */
export function packStart(
  { end, checkpoint, producers }: OpenedStart,
  rows: LogStart["rows"],
): Generator<undefined, Uint8Array, undefined> {
  const start = { end, checkpoint: { ...checkpoint, producers: [] } };
  return packWith(rows === undefined ? start : { ...start, rows }, path, producers);
}

/**
 * Unpacks the start in `data`, which does not change, in steps. The rows in a base file are not checked.
 * @throws Fault "corrupt" with the part that is wrong
 */
export function* unpackStart(data: Uint8Array): Generator<void, LogStart, undefined> {
  const found = known.get(data);
  if (found !== undefined) return found;
  const { value, producers } = yield* unpackWith(data, path);
  const rest = checkStartFields(value);
  const start = producers === undefined ? rest : withProducers(rest, producers);
  known.set(data, start);
  return start;
}

export const withProducers = (start: LogStart, producers: LogStart["checkpoint"]["producers"]): LogStart => ({
  ...start,
  checkpoint: { ...start.checkpoint, producers },
});

/** Does the same at once. @throws Fault "corrupt" */
export const startIn = (data: Uint8Array): LogStart => atOnce(unpackStart(data));

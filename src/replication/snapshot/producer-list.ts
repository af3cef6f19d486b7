/**
 * The list of producers inside one packed map, as a snapshot and the manifest of a backup have it. It can have millions of values, so
 * it is packed and unpacked in steps. The rest of the map is small.
 */
import { assert } from "../../lib/assert.ts";
import { checkProducers, type LogStart, type PackedProducers } from "../../log/mod.ts";
import { endOfMsgpack, headOfMsgpack, pack, unpack, unpackChecked } from "../storage/msgpack.ts";

export type ProducerRows = LogStart["checkpoint"]["producers"];

/** The keys that lead to the list. */
export type ListPath = readonly string[];

/** Producers that are unpacked in one step: about 2 ms. A shorter list is unpacked with the rest. */
const stepRows = 512;

/** A list in packed bytes. */
interface PackedList {
  /** Where its head begins, and where its first value does. */
  readonly at: number;
  readonly first: number;
  readonly count: number;
}

/** Packs `value`, whose list at `path` is empty, with these producers in the list. Closes them. @throws what copyTo() throws */
export function* packWith(
  value: unknown,
  path: ListPath,
  producers: PackedProducers,
): Generator<undefined, Uint8Array, undefined> {
  try {
    const { count, bytes } = producers;
    const rest = pack(value);
    const list = listIn(rest, path);
    assert(list?.count === 0, "the list is empty");
    const head = headOfList(count);
    // All of it is written below. To fill 25 MB with zeros first takes 8 ms.
    const data = Buffer.allocUnsafeSlow(rest.length - 1 + head.length + bytes);
    data.set(rest.subarray(0, list.at));
    data.set(head, list.at);
    const first = list.at + head.length;
    data.set(rest.subarray(list.first), first + bytes);
    yield* producers.copyTo(data.subarray(first, first + bytes));
    return data;
  } finally {
    producers.close();
  }
}

function headOfList(count: number): number[] {
  if (count < 16) return [0x90 | count];
  const low = [(count >>> 8) & 0xff, count & 0xff];
  return count < 0x1_0000 ? [0xdc, ...low] : [0xdd, count >>> 24, (count >>> 16) & 0xff, ...low];
}

/**
 * Unpacks the value and checks its producers. If there are many, in steps, and `value` has an empty list then. Without `keep` they are
 * checked and not kept.
 * @throws Fault "corrupt" for malformed producers
 */
export function* unpackWith(
  data: Uint8Array,
  path: ListPath,
  keep = true,
): Generator<void, { readonly value: unknown; readonly producers: ProducerRows | undefined }, undefined> {
  const list = listIn(data, path);
  if (list === undefined || list.count <= stepRows)
    return { value: unpackChecked(data).value, producers: undefined };
  const { at, first, count } = list;
  const producers: ProducerRows[number][] = [];
  let end = first;
  for (let left = count; left > 0; left -= stepRows) {
    const rows = Math.min(left, stepRows);
    const from = end;
    for (let k = 0; k < rows; k++) end = endOfMsgpack(data, end);
    // Not a number for bytes that are no value: then the check below fails.
    const part = new Uint8Array(3 + Math.max(0, Math.min(end, data.length) - from || 0));
    part.set([0xdc, rows >>> 8, rows & 0xff]);
    part.set(data.subarray(from, from + part.length - 3), 3);
    const checked = checkProducers(unpackChecked(part).value);
    if (keep) producers.push(...checked);
    yield;
  }
  const rest = new Uint8Array(at + 1 + data.length - end);
  rest.set(data.subarray(0, at));
  rest[at] = 0x90;
  rest.set(data.subarray(end), at + 1);
  return { value: unpackChecked(rest).value, producers };
}

/** Finds the list. Undefined if there is none: then the value is malformed. */
function listIn(data: Uint8Array, path: ListPath): PackedList | undefined {
  let at: number | undefined = 0;
  for (const key of path) at = at === undefined ? undefined : valueAt(data, at, key);
  if (at === undefined) return undefined;
  const list = headOfMsgpack(data, at);
  return list?.kind === "list" ? { at, first: list.first, count: list.count } : undefined;
}

/** Where the value of this key begins, in the map at `at`. */
function valueAt(data: Uint8Array, at: number, key: string): number | undefined {
  const map = headOfMsgpack(data, at);
  if (map?.kind !== "map") return undefined;
  let next = map.first;
  for (let n = 0; n < map.count; n++) {
    const value = endOfMsgpack(data, next);
    if (!(value < data.length)) return undefined;
    // Keys of other types are not those of a start.
    const text = data[next]! >= 0xa0 && data[next]! <= 0xbf ? unpack(data.subarray(next, value)) : undefined;
    if (text === key) return value;
    next = endOfMsgpack(data, value);
  }
  return undefined;
}

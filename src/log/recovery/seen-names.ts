/**
 * The names in a base file that were read so far, without the names: a hash and the id for each, 16 to 32 bytes. A million names
 * in a Set take some 100 MB, and one of its growths takes longer than a turn of the event loop may.
 */
import type { LogId } from "../../types.ts";

interface Shard {
  /** A hash and an id for each slot. The id 0 is an empty slot. */
  slots: Uint32Array;
  used: number;
}

/** Each is small, so that it grows in a fraction of a millisecond. */
const shards = 256;
const slotsMin = 16;

export class SeenNames {
  readonly #shards: Shard[] = Array.from({ length: shards }, () => ({
    slots: new Uint32Array(2 * slotsMin),
    used: 0,
  }));
  readonly #hashOf: (name: string) => number;

  constructor(hash: (name: string) => number = hashOf) {
    this.#hashOf = hash;
  }

  /** Adds a name. Returns the ids of the names before it that have its hash: its name may be one of them. `id` is above 0. */
  add(name: string, id: LogId): readonly LogId[] {
    const hash = this.#hashOf(name);
    const shard = this.#shards[hash % shards]!;
    if (4 * shard.used > shard.slots.length) grow(shard);
    shard.used++;
    const same: LogId[] = [];
    put(shard.slots, hash, id, same);
    return same;
  }
}

function grow(shard: Shard): void {
  const { slots } = shard;
  shard.slots = new Uint32Array(2 * slots.length);
  for (let at = 0; at < slots.length; at += 2)
    if (slots[at + 1] !== 0) put(shard.slots, slots[at]!, slots[at + 1]!);
}

/** Half of the slots at least are empty. */
function put(slots: Uint32Array, hash: number, id: LogId, same?: LogId[]): void {
  const mask = slots.length / 2 - 1;
  let slot = Math.floor(hash / shards) & mask;
  for (; slots[2 * slot + 1] !== 0; slot = (slot + 1) & mask)
    if (slots[2 * slot] === hash) same?.push(slots[2 * slot + 1]!);
  slots[2 * slot] = hash;
  slots[2 * slot + 1] = id;
}

/** FNV-1a of the UTF-16 units, with the finalizer of MurmurHash3. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * Finds out whether a message with a Lamport time is new: the messages of the last 512 times are kept, in slots by
 * time modulo 512, and older messages count as known (Serf's event and query buffers).
 *
 * Invariant: at most `itemsMax` messages are kept. Further ones count as known.
 */
import type { LamportClock } from "./lamport-clock.ts";

const slotCount = 512;
const itemsMax = 4_096;

interface Slot<T> {
  readonly lTime: number;
  readonly items: T[];
}

export class LamportWindow<T> {
  readonly #clock: LamportClock;
  readonly #slots = new Map<number, Slot<T>>();
  #count = 0;
  /** Earlier messages count as known. */
  #since: number;

  constructor(clock: LamportClock) {
    this.#clock = clock;
    this.#since = clock.time;
  }

  /** Returns whether a message is new. If so, stores `create()`. `isSame` finds the message among those of its time. */
  add(lTime: number, create: () => T, isSame: (other: T) => boolean): boolean {
    if (!this.#clock.witness(lTime) || lTime < this.#since) return false;
    const now = this.#clock.time;
    if (now > slotCount && lTime < now - slotCount) return false;
    const slot = this.#slotAt(lTime);
    if (slot === undefined || slot.items.some(isSame) || this.#count >= itemsMax) return false;
    slot.items.push(create());
    this.#count++;
    return true;
  }

  /** Makes everything up to this time count as known. */
  ignoreUpTo(lTime: number): void {
    this.#since = Math.max(this.#since, lTime + 1);
  }

  /** The kept messages by time, the newest first. */
  newestFirst(): readonly Slot<T>[] {
    return [...this.#slots.values()].sort((one, other) => other.lTime - one.lTime);
  }

  /** Returns undefined if a later time has the slot. */
  #slotAt(lTime: number): Slot<T> | undefined {
    const key = lTime % slotCount;
    const old = this.#slots.get(key);
    if (old !== undefined && old.lTime >= lTime) return old.lTime === lTime ? old : undefined;
    this.#count -= old?.items.length ?? 0;
    const slot: Slot<T> = { lTime, items: [] };
    this.#slots.set(key, slot);
    return slot;
  }
}

/**
 * User events and their clock. Each is delivered once, whatever way and however often it comes: those of the last
 * 512 Lamport times are remembered, older ones are dropped.
 *
 * Invariant: at most `eventsMax` events are remembered.
 *
 * Never: delivers an event of before our own join when asked to ignore those.
 */

import { LamportClock } from "./lamport-clock.ts";
import { encodeUserEvent, type UserEvent } from "./serf-messages.ts";
import type { EventsAt } from "./serf-state.ts";

const slots = 512;
const eventsMax = 4_096;

interface Slot {
  readonly lTime: number;
  readonly events: { readonly name: string; readonly payload: Buffer }[];
}

export class UserEvents {
  readonly clock: LamportClock;
  /** Events below this time happened before we were here. */
  #since = 0;
  readonly #slots = new Map<number, Slot>();
  #count = 0;

  constructor(time: number) {
    this.clock = new LamportClock(time);
    this.#since = time;
  }

  /** True when the event is new: deliver it and pass it on. */
  witness(event: Pick<UserEvent, "lTime" | "name" | "payload">): boolean {
    if (!this.clock.witness(event.lTime) || event.lTime < this.#since) return false;
    const now = this.clock.time;
    if (now > slots && event.lTime < now - slots) return false;
    const key = event.lTime % slots;
    let slot = this.#slots.get(key);
    if (slot !== undefined && slot.lTime > event.lTime) return false;
    if (slot === undefined || slot.lTime < event.lTime) {
      this.#count -= slot?.events.length ?? 0;
      slot = { lTime: event.lTime, events: [] };
      this.#slots.set(key, slot);
    }
    const known = slot.events.some(
      (other) => other.name === event.name && other.payload.equals(event.payload),
    );
    if (known || this.#count >= eventsMax) return false;
    slot.events.push({ name: event.name, payload: Buffer.from(event.payload) });
    this.#count++;
    return true;
  }

  /** Everything up to this time happened before we came. */
  ignoreUpTo(lTime: number): void {
    this.#since = Math.max(this.#since, lTime + 1);
  }

  /** A new event of our own. */
  create(name: string, payload: Buffer, coalesce: boolean): { event: UserEvent; bytes: Buffer } {
    const event: UserEvent = { kind: "user-event", lTime: this.clock.time, name, payload, coalesce };
    this.clock.increment();
    return { event, bytes: encodeUserEvent(event) };
  }

  /** The events remembered, newest first, of together at most `bytesMax`. */
  recent(bytesMax: number): EventsAt[] {
    const recent: EventsAt[] = [];
    let bytes = 0;
    for (const slot of [...this.#slots.values()].sort((one, other) => other.lTime - one.lTime)) {
      bytes += slot.events.reduce((sum, event) => sum + event.name.length + event.payload.length + 32, 32);
      if (bytes > bytesMax) break;
      recent.push(slot);
    }
    return recent;
  }
}

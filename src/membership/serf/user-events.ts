/** User events and their clock. Each event is delivered once, however often and in whatever way it arrives. */
import { LamportClock } from "./lamport-clock.ts";
import { LamportWindow } from "./lamport-window.ts";
import { encodeUserEvent, type UserEvent } from "./serf-messages.ts";
import type { EventsAt } from "./serf-state.ts";

export class UserEvents {
  readonly clock: LamportClock;
  readonly #window: LamportWindow<{ readonly name: string; readonly payload: Buffer }>;

  constructor(time: number) {
    this.clock = new LamportClock(time);
    this.#window = new LamportWindow(this.clock);
  }

  /** Returns true if the event is new. Then it is to be delivered and passed on. */
  witness({ lTime, name, payload }: Pick<UserEvent, "lTime" | "name" | "payload">): boolean {
    return this.#window.add(
      lTime,
      () => ({ name, payload: Buffer.from(payload) }),
      (other) => other.name === name && other.payload.equals(payload),
    );
  }

  /** Ignores the events up to this time, which happened before this member joined. */
  ignoreUpTo(lTime: number): void {
    this.#window.ignoreUpTo(lTime);
  }

  /** Creates an event of this member. */
  create(name: string, payload: Buffer, coalesce: boolean): { event: UserEvent; bytes: Buffer } {
    const event: UserEvent = { kind: "user-event", lTime: this.clock.time, name, payload, coalesce };
    this.clock.increment();
    return { event, bytes: encodeUserEvent(event) };
  }

  /** Returns the kept events, the newest first, of together at most `bytesMax`. */
  recent(bytesMax: number): EventsAt[] {
    const recent: EventsAt[] = [];
    let bytes = 0;
    for (const { lTime, items } of this.#window.newestFirst()) {
      bytes += items.reduce((sum, event) => sum + event.name.length + event.payload.length + 32, 32);
      if (bytes > bytesMax) break;
      recent.push({ lTime, events: items });
    }
    return recent;
  }
}

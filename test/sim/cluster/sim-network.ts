/**
 * The simulated network: it delays, loses, duplicates and reorders messages. Links can be cut in one or both directions,
 * or can be made narrow, so that they lose only large messages.
 */
import type { Prng } from "../../../src/lib/prng.ts";
import type { VirtualTime } from "../../support/time/virtual-clock.ts";
import type { Swarm } from "../faults/swarm.ts";
import type { Message, PeerId } from "../raft.ts";

export class SimNetwork {
  /** False in the healed phase, when every message arrives after a millisecond. */
  faulty = true;
  readonly counts = { sent: 0, lost: 0, duplicated: 0, cut: 0 };
  readonly #time: VirtualTime;
  readonly #random: Prng;
  readonly #swarm: Swarm;
  readonly #deliver: (message: Message) => void;
  /** Reports to the transport whether a snapshot was delivered. */
  readonly #report: (snapshot: Message, delivered: boolean) => void;
  readonly #cut = new Set<string>();
  /** When the last request or response on a link arrives. */
  readonly #trips = new Map<string, number>();
  /** Narrow links, with the number of large messages that each still carries. */
  readonly #narrow = new Map<string, number>();

  constructor(
    time: VirtualTime,
    random: Prng,
    swarm: Swarm,
    deliver: (message: Message) => void,
    report: (snapshot: Message, delivered: boolean) => void,
  ) {
    this.#time = time;
    this.#random = random;
    this.#swarm = swarm;
    this.#deliver = deliver;
    this.#report = report;
  }

  send(message: Message): void {
    this.counts.sent++;
    if (!this.faulty) {
      this.#time.after(1, () => {
        this.#deliver(message);
        if (message.type === "snapshot") this.#time.after(1, () => this.#report(message, true));
      });
      return;
    }
    const link = `${message.from}>${message.to}`;
    const large = message.entries.length > 0 || message.type === "snapshot";
    if (this.#cut.has(link) || (large && !this.#fits(link))) {
      this.counts.cut++;
      this.#lose(message);
      return;
    }
    if (this.#random.chance(this.#swarm.loss)) {
      this.counts.lost++;
      this.#lose(message);
      return;
    }
    this.#carry(message);
    if (this.#random.chance(this.#swarm.duplicate)) {
      this.counts.duplicated++;
      this.#carry(message);
    }
  }

  #fits(link: string): boolean {
    const left = this.#narrow.get(link);
    if (left === undefined) return true;
    this.#narrow.set(link, Math.max(0, left - 1));
    return left > 0;
  }

  /** Sends a request or a response on a connection. It can be late or lost. It does not overtake an earlier one. */
  trip(from: PeerId, to: PeerId, arrive: () => void): void {
    const link = `${from}>${to}`;
    if (this.faulty && this.#cut.has(link)) this.counts.cut++;
    else if (this.faulty && this.#random.chance(this.#swarm.loss)) this.counts.lost++;
    else {
      const { now } = this.#time;
      const due = Math.max(now + (this.faulty ? this.#delay() : 1), (this.#trips.get(link) ?? 0) + 0.001);
      this.#trips.set(link, due);
      this.#time.after(due - now, arrive);
    }
  }

  #delay(): number {
    const mean = this.#random.chance(this.#swarm.straggle) ? 1000 : this.#swarm.delayMs;
    return 0.2 - Math.log(1 - this.#random.float()) * mean;
  }

  #lose(message: Message): void {
    if (message.type === "snapshot") this.#time.after(300, () => this.#report(message, false));
  }

  #carry(message: Message): void {
    const delay = this.#delay();
    this.#time.after(delay, () => {
      this.#deliver(message);
      if (message.type === "snapshot") this.#time.after(delay, () => this.#report(message, true));
    });
  }

  cut(from: PeerId, to: PeerId): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Cuts every link between the two groups. */
  split(one: readonly PeerId[], other: readonly PeerId[]): void {
    for (const a of one) {
      for (const b of other) {
        this.cut(a, b);
        this.cut(b, a);
      }
    }
  }

  /** Makes a link narrow: after `after` more messages it loses those that carry entries or a snapshot. */
  narrow(from: PeerId, to: PeerId, after = 0): void {
    this.#narrow.set(`${from}>${to}`, after);
  }

  open(from: PeerId, to: PeerId): void {
    this.#cut.delete(`${from}>${to}`);
    this.#narrow.delete(`${from}>${to}`);
  }

  isCut(from: PeerId, to: PeerId): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  heal(): void {
    this.#cut.clear();
    this.#narrow.clear();
  }
}

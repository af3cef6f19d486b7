/**
 * Messages on their way to everybody. Each is handed out a limited number of times, those handed out least first,
 * among equals the newest first; a newer message about the same subject replaces an older one. What goes to a mere
 * name, from whom nobody heard yet, counts a quarter: names that a stranger made up must not use up the news.
 *
 * Invariant: at most `entriesMax` entries; when one more comes, the one handed out most goes.
 *
 * Never: knows to whom, or what a message says.
 */

interface Entry {
  readonly subject: string | undefined;
  readonly bytes: Buffer;
  readonly order: number;
  transmits: number;
  /** Of those, how often to somebody who listens. */
  landed: number;
  readonly onDone: (() => void) | undefined;
}

/** So many copies to mere names spend as much of the limit as one to a member who listens. */
const hearsayShare = 4;

export class BroadcastQueue {
  #entries: Entry[] = [];
  #order = 0;
  readonly #entriesMax: number;
  /** Messages that gave way to others before they were sent often enough. */
  overflow = 0;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** `onDone` is called once: handed out often enough, replaced, or dropped. */
  add(bytes: Buffer, subject?: string, onDone?: () => void): void {
    if (subject !== undefined) {
      const old = this.#entries.find((entry) => entry.subject === subject);
      if (old !== undefined) this.#remove(old);
    }
    this.#entries.push({ subject, bytes, order: this.#order++, transmits: 0, landed: 0, onDone });
    if (this.#entries.length > this.#entriesMax) {
      this.overflow++;
      this.#remove(this.#entries.reduce((worst, entry) => (before(worst, entry) ? entry : worst)));
    }
  }

  /**
   * Messages of together at most `bytesMax`, each counted with `extraBytes` on top, for one member; `listens`: it was
   * heard of directly.
   */
  take(bytesMax: number, extraBytes: number, transmitsMax: number, partsMax = 255, listens = true): Buffer[] {
    if (this.#entries.length === 0) return [];
    const taken: Buffer[] = [];
    let left = bytesMax;
    this.#entries.sort((one, other) => (before(one, other) ? -1 : 1));
    for (const entry of [...this.#entries]) {
      const size = entry.bytes.length + extraBytes;
      if (taken.length === partsMax) break;
      if (size > left) continue;
      left -= size;
      taken.push(entry.bytes);
      entry.transmits++;
      if (listens) entry.landed++;
      const spent = entry.landed + (entry.transmits - entry.landed) / hearsayShare;
      if (spent >= transmitsMax) this.#remove(entry);
    }
    return taken;
  }

  #remove(entry: Entry): void {
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    entry.onDone?.();
  }
}

function before(one: Entry, other: Entry): boolean {
  return one.transmits < other.transmits || (one.transmits === other.transmits && one.order > other.order);
}

/**
 * Messages to be gossiped to all members (memberlist's TransmitLimitedQueue). Each is transmitted a limited number of
 * times: those with the fewest transmissions first, among equals the newest first. A newer message about the same
 * subject replaces an older one. Four transmissions to unverified members count as one, because members that a forger
 * invented must not use up the transmissions.
 *
 * Invariant: at most `entriesMax` entries. When the queue is full, the entry with the most transmissions is dropped.
 */

interface Entry {
  readonly subject: string | undefined;
  readonly bytes: Buffer;
  readonly order: number;
  transmits: number;
  /** Transmissions to verified members. */
  verifiedTransmits: number;
  readonly onDone: (() => void) | undefined;
}

/** This many transmissions to unverified members count as one. */
const unverifiedDivisor = 4;

export class BroadcastQueue {
  #entries: Entry[] = [];
  #order = 0;
  readonly #entriesMax: number;
  /** Number of messages that were dropped because the queue was full. */
  overflow = 0;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** `onDone` is called once: when the message was transmitted often enough, was replaced, or was dropped. */
  add(bytes: Buffer, subject?: string, onDone?: () => void): void {
    if (subject !== undefined) {
      const old = this.#entries.find((entry) => entry.subject === subject);
      if (old !== undefined) this.#remove(old);
    }
    this.#entries.push({ subject, bytes, order: this.#order++, transmits: 0, verifiedTransmits: 0, onDone });
    if (this.#entries.length > this.#entriesMax) {
      this.overflow++;
      this.#remove(this.#entries.reduce((worst, entry) => (isBefore(worst, entry) ? entry : worst)));
    }
  }

  /**
   * Takes messages for one member, of together at most `bytesMax`, each counted with `extraBytes` more.
   * @param verified the member is verified (see NodeRecord)
   */
  take(
    bytesMax: number,
    extraBytes: number,
    transmitsMax: number,
    partsMax = 255,
    verified = true,
  ): Buffer[] {
    if (this.#entries.length === 0) return [];
    const taken: Buffer[] = [];
    let left = bytesMax;
    this.#entries.sort((one, other) => (isBefore(one, other) ? -1 : 1));
    for (const entry of [...this.#entries]) {
      const size = entry.bytes.length + extraBytes;
      if (taken.length === partsMax) break;
      if (size > left) continue;
      left -= size;
      taken.push(entry.bytes);
      entry.transmits++;
      if (verified) entry.verifiedTransmits++;
      const unverified = entry.transmits - entry.verifiedTransmits;
      if (entry.verifiedTransmits + unverified / unverifiedDivisor >= transmitsMax) this.#remove(entry);
    }
    return taken;
  }

  /** Removes all messages, as if they were transmitted often enough. */
  clear(): void {
    for (const entry of [...this.#entries]) this.#remove(entry);
  }

  #remove(entry: Entry): void {
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    entry.onDone?.();
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.transmits < other.transmits || (one.transmits === other.transmits && one.order > other.order);
}

/**
 * Deficit round robin: takes waiting units from lanes in turn, so that each lane gets the same bytes over time, whatever the
 * size of its units. Pure.
 *
 * At each turn a lane may spend `quantumBytes` more, and keeps what it has not spent while something waits in it. While
 * something waits in both of two lanes, what they get differs by at most two quanta and twice the largest unit.
 *
 * Source: M. Shreedhar and G. Varghese, "Efficient fair queuing using deficit round robin", SIGCOMM 1995.
 */

export interface WaitingLane<Unit> {
  /** Bytes that the lane may spend. Owned by the round robin. */
  deficit: number;
  /** The size of its first unit in bytes; undefined if nothing waits. */
  firstBytes(): number | undefined;
  /** Removes and returns its first unit. */
  takeFirst(): Unit;
}

export class DeficitRoundRobin<Unit, Lane extends WaitingLane<Unit>> {
  readonly #quantumBytes: number;
  /** The lanes in which something waits, the next one first. */
  readonly #ring = new Set<Lane>();
  /** The lane whose turn was cut short. It goes on without another quantum. */
  #inTurn: Lane | undefined;

  constructor(quantumBytes: number) {
    this.#quantumBytes = quantumBytes;
  }

  /** How many lanes wait. */
  get size(): number {
    return this.#ring.size;
  }

  get lanes(): Iterable<Lane> {
    return this.#ring;
  }

  /** Something waits in this lane. A lane that did not wait before comes last. */
  waits(lane: Lane): void {
    this.#ring.add(lane);
  }

  /** Nothing waits any more. Returns the lanes that waited. */
  clear(): readonly Lane[] {
    const lanes = [...this.#ring];
    for (const lane of lanes) lane.deficit = 0;
    this.#ring.clear();
    this.#inTurn = undefined;
    return lanes;
  }

  /**
   * Takes units of at most `budgetBytes` together; a first unit that is larger is taken alone. Returns those of each lane
   * together, in the order of the lane. Empty if nothing waits.
   */
  take(budgetBytes: number): Iterable<readonly Unit[]> {
    const taken = new Map<Lane, Unit[]>();
    let leftBytes = budgetBytes;
    for (;;) {
      const [lane] = this.#ring;
      if (lane === undefined) return taken.values();
      if (this.#inTurn !== lane) lane.deficit += this.#quantumBytes;
      this.#inTurn = lane;
      let bytes = lane.firstBytes();
      for (; bytes !== undefined && bytes <= lane.deficit; bytes = lane.firstBytes()) {
        if (taken.size > 0 && bytes > leftBytes) return taken.values();
        const units = taken.get(lane);
        if (units === undefined) taken.set(lane, [lane.takeFirst()]);
        else units.push(lane.takeFirst());
        lane.deficit -= bytes;
        leftBytes -= bytes;
      }
      this.#inTurn = undefined;
      this.#ring.delete(lane);
      if (bytes === undefined) lane.deficit = 0;
      else this.#ring.add(lane);
    }
  }
}

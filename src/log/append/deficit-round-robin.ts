/**
 * Deficit round robin: takes waiting units from flows in turn, so that each flow gets the same bytes over time, whatever the
 * size of its units. Pure.
 *
 * At each turn a flow may spend `quantumBytes` more, and keeps what it has not spent while something waits in it. While
 * something waits in both of two flows, what they get differs by at most two quanta and twice the largest unit.
 *
 * Source: M. Shreedhar and G. Varghese, "Efficient fair queuing using deficit round robin", SIGCOMM 1995.
 */

export interface WaitingFlow<Unit> {
  /** Bytes that the flow may spend. Owned by the round robin. */
  deficit: number;
  /** The size of its first unit in bytes; undefined if nothing waits. */
  firstBytes(): number | undefined;
  /** Removes and returns its first unit. */
  takeFirst(): Unit;
}

export class DeficitRoundRobin<Unit, Flow extends WaitingFlow<Unit>> {
  readonly #quantumBytes: number;
  /** The flows in which something waits, the next one first. */
  readonly #ring = new Set<Flow>();
  /** The flow that was cut short in its turn. It continues without another quantum. */
  #inTurn: Flow | undefined;

  constructor(quantumBytes: number) {
    this.#quantumBytes = quantumBytes;
  }

  /** How many flows wait. */
  get size(): number {
    return this.#ring.size;
  }

  get flows(): Iterable<Flow> {
    return this.#ring;
  }

  /** Something waits in this flow. A flow that did not wait before comes last. */
  waits(flow: Flow): void {
    this.#ring.add(flow);
  }

  /** Nothing waits any more. Returns the flows that waited. */
  clear(): readonly Flow[] {
    const flows = [...this.#ring];
    for (const flow of flows) flow.deficit = 0;
    this.#ring.clear();
    this.#inTurn = undefined;
    return flows;
  }

  /**
   * Takes units of at most `budgetBytes` together; a first unit that is larger is taken alone. Returns those of each flow
   * together, in the order of the flow. Empty if nothing waits.
   */
  take(budgetBytes: number): Iterable<readonly Unit[]> {
    const taken: Unit[][] = [];
    // The units of flows that may come again.
    let again: Map<Flow, Unit[]> | undefined;
    let leftBytes = budgetBytes;
    // A flow that is added again comes again, after the others.
    for (const flow of this.#ring) {
      if (this.#inTurn !== flow) flow.deficit += this.#quantumBytes;
      this.#inTurn = flow;
      let units = again?.get(flow);
      let bytes = flow.firstBytes();
      for (; bytes !== undefined && bytes <= flow.deficit; bytes = flow.firstBytes()) {
        if (taken.length > 0 && bytes > leftBytes) return taken;
        const unit = flow.takeFirst();
        if (units === undefined) {
          units = [unit];
          taken.push(units);
        } else {
          units.push(unit);
        }
        flow.deficit -= bytes;
        leftBytes -= bytes;
      }
      this.#inTurn = undefined;
      this.#ring.delete(flow);
      if (bytes === undefined) {
        flow.deficit = 0;
        continue;
      }
      this.#ring.add(flow);
      again ??= new Map();
      if (units !== undefined) again.set(flow, units);
    }
    return taken;
  }
}

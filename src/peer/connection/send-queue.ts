/**
 * What waits to be sent on one lane: in order, bounded in count and bytes. Pure.
 *
 * Whoever queues is told when it is about to go, and may still take it back then: up to that moment nothing of it has
 * left this node.
 *
 * Never: drops what it has taken; it refuses instead.
 */

export interface Outgoing {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  /** It is about to be handed to the socket. False: it is to stay here. */
  begin?(): boolean;
  /** The system has taken all of it. */
  written?(): void;
  /** The lane ended before; of something that is not waited for with written(), only while it was still queued. */
  dropped?(): void;
}

export interface QueueBounds {
  readonly countMax: number;
  readonly bytesMax: number;
}

export class SendQueue {
  readonly #bounds: QueueBounds;
  #items: Outgoing[] = [];
  #start = 0;
  #bytes = 0;

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds;
  }

  get count(): number {
    return this.#items.length - this.#start;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** False when there is no room. Something larger than all the room may only wait alone. */
  push(item: Outgoing): boolean {
    const { countMax, bytesMax } = this.#bounds;
    if (this.count >= countMax || (this.count > 0 && this.#bytes + item.bytes > bytesMax)) return false;
    this.#items.push(item);
    this.#bytes += item.bytes;
    return true;
  }

  /** Takes from the front what is to go now: at most so many bytes, but at least one. */
  take(bytesMax: number): Outgoing[] {
    const taken: Outgoing[] = [];
    let bytes = 0;
    while (this.count > 0) {
      const item = this.#items[this.#start]!;
      if (taken.length > 0 && bytes + item.bytes > bytesMax) break;
      this.#start++;
      this.#bytes -= item.bytes;
      if (item.begin?.() === false) continue;
      bytes += item.bytes;
      taken.push(item);
    }
    if (this.#start * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
    return taken;
  }

  /** The lane ended: all that waited is told so. */
  clear(): void {
    const items = this.#items.slice(this.#start);
    this.#items = [];
    this.#start = 0;
    this.#bytes = 0;
    for (const item of items) item.dropped?.();
  }
}

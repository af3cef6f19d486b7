/**
 * Streams that were cut while the client was still sending: what it sent before it heard of that is no mistake of
 * its own (RFC 9113 §5.1, "closed"). The latest are remembered, with how much more each may send.
 *
 * Never: grows beyond so many; an older one is a closed stream like any other.
 */

/** As many as can be open at once: all of them may be cut in one turn. */
const rememberedMax = 1024;

export class CutStreams {
  /** By id, oldest first. */
  #windows: Map<number, number> | undefined;

  /** We cut this one; so much of its window was left. */
  add(id: number, window: number): void {
    this.#windows ??= new Map();
    this.#windows.set(id, window);
    if (this.#windows.size <= rememberedMax) return;
    for (const oldest of this.#windows.keys()) {
      this.#windows.delete(oldest);
      break;
    }
  }

  has(id: number): boolean {
    return this.#windows?.has(id) === true;
  }

  /** The client sent so much more on one we cut; false when that is more than it may. */
  spend(id: number, bytes: number): boolean {
    const window = (this.#windows?.get(id) ?? 0) - bytes;
    this.#windows?.set(id, window);
    return window >= 0;
  }

  /** The client says no more on it. */
  delete(id: number): void {
    this.#windows?.delete(id);
  }
}

/**
 * Keeps the ids of streams that were reset while the client was still sending. Frames that it sent before it received the
 * reset are not a mistake (RFC 9113 §5.1, "closed"). Only the latest streams are kept; an older one is a closed
 * stream like any other.
 */

/** The default of streamsMax: all open streams may be reset in one turn. */
const streamsMax = 1024;

export class ResetStreams {
  /** Stream id → bytes that the client may still send on it. The oldest is first. Most connections need none. */
  #windows: Map<number, number> | undefined;

  /** Adds a stream, with the rest of its receive window. */
  add(id: number, window: number): void {
    this.#windows ??= new Map();
    this.#windows.set(id, window);
    if (this.#windows.size <= streamsMax) return;
    for (const oldest of this.#windows.keys()) {
      this.#windows.delete(oldest);
      break;
    }
  }

  has(id: number): boolean {
    return this.#windows?.has(id) === true;
  }

  /** Takes `bytes` of the stream's window. Returns false if the client sent more than it may. */
  spend(id: number, bytes: number): boolean {
    const window = (this.#windows?.get(id) ?? 0) - bytes;
    this.#windows?.set(id, window);
    return window >= 0;
  }

  /** The client has ended the stream. */
  delete(id: number): void {
    this.#windows?.delete(id);
  }
}

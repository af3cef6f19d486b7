/**
 * Buffers for readers that are far behind and read from disk. Reading into memory that was just allocated costs 2 to 4
 * times the processor time (new pages, cold caches), and collecting it another tenth. Only a few readers get buffers:
 * many readers of one range do better by sharing what the log caches.
 */

/** Size of one buffer, in bytes. */
const bufferBytes = 256 * 1024;
/** Buffers per reader: as many as one turn fills. */
const buffersPerReader = 4;
/** Readers that have buffers at once. All buffers together take at most 2 MiB. */
const readersMax = 2;

export class BufferPool {
  #readers = 0;

  /** Returns buffers for one reader, or undefined while `readersMax` others have theirs. */
  borrow(): ReadBuffers | undefined {
    if (this.#readers >= readersMax) return undefined;
    this.#readers++;
    return new ReadBuffers(() => {
      this.#readers--;
    });
  }
}

/** The buffers of one reader. A buffer is not offered again until markSent() says that its bytes have left. */
export class ReadBuffers {
  readonly #buffers: Uint8Array[] = [];
  readonly #onRelease: () => void;
  /** The buffers before this one are being sent. */
  #free = 0;

  constructor(onRelease: () => void) {
    this.#onRelease = onRelease;
  }

  /** The next buffer to read into, the same one until markSending() takes it. Undefined when all are being sent. */
  get next(): Uint8Array | undefined {
    if (this.#free === buffersPerReader) return undefined;
    this.#buffers[this.#free] ??= new Uint8Array(Buffer.allocUnsafeSlow(bufferBytes).buffer);
    return this.#buffers[this.#free];
  }

  get isFull(): boolean {
    return this.#free === buffersPerReader;
  }

  get isSending(): boolean {
    return this.#free > 0;
  }

  /** `bytes` are being sent. If they lie in the next buffer, that buffer is taken until markSent(). */
  markSending(bytes: Uint8Array): void {
    if (bytes.buffer === this.#buffers[this.#free]?.buffer) this.#free++;
  }

  /** All bytes that were being sent have left. */
  markSent(): void {
    this.#free = 0;
  }

  /** Returns the place in the pool. The reader must not use the buffers again; bytes on their way keep them alive. */
  release(): undefined {
    this.#onRelease();
  }
}

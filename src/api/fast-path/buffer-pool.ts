/**
 * Memory that a reader far behind reads the disk into, again and again. Read into memory asked for anew, the same bytes
 * cost 2 to 4 times as much processor (new pages, cold caches), and collecting it a tenth of all. Rooms are for the few:
 * many readers of one range do better sharing what the log keeps.
 *
 * Never: lends a room while bytes in it are being sent.
 */

/** Read at once. */
const roomBytes = 256 * 1024;
/** As many as a turn fills. */
const roomsEach = 4;
/** So many readers have rooms at most, so rooms take 2 MiB at most. */
const readersMax = 2;

export class RoomLender {
  #readers = 0;

  /** Rooms for one reader, or undefined while enough others have theirs. */
  borrow(): ReadRooms | undefined {
    if (this.#readers >= readersMax) return undefined;
    this.#readers++;
    return new ReadRooms(() => {
      this.#readers--;
    });
  }
}

/** One reader's rooms. */
export class ReadRooms {
  readonly #rooms: Uint8Array[] = [];
  readonly #onGiveBack: () => void;
  /** Rooms before this one are being sent. */
  #free = 0;

  constructor(onGiveBack: () => void) {
    this.#onGiveBack = onGiveBack;
  }

  /** A room of which nothing is being sent, the same until sending() is called; undefined when there is none. */
  get room(): Uint8Array | undefined {
    if (this.#free === roomsEach) return undefined;
    this.#rooms[this.#free] ??= new Uint8Array(Buffer.allocUnsafeSlow(roomBytes).buffer);
    return this.#rooms[this.#free];
  }

  get isFull(): boolean {
    return this.#free === roomsEach;
  }

  get isSending(): boolean {
    return this.#free > 0;
  }

  /** Bytes of this memory are being sent: if it is the room's, that is taken. */
  sending(bytes: Uint8Array): void {
    if (bytes.buffer === this.#rooms[this.#free]?.buffer) this.#free++;
  }

  /** All that was being sent has gone. */
  sent(): void {
    this.#free = 0;
  }

  /** To be used no more, what is being sent included. */
  giveBack(): undefined {
    this.#onGiveBack();
  }
}

/**
 * The memory of all uploads of a store, and how many requests with bodies run at the same time. A writer takes the bytes of a body
 * before it collects it, and gives them back when the server has it. So each writer that holds memory can go on without more, and
 * none waits for another that waits.
 */

const bytesMaxDefault = 40 * 1024 * 1024;
const sendsMax = 3;

export interface UploadMemoryOptions {
  /** Default 40 MiB. A body that is larger is taken if nothing else is held. */
  readonly bytesMax?: number;
  /** Called with the bytes that are held, after each change. */
  readonly onHeld?: (bytes: number) => void;
}

export class UploadMemory {
  readonly #bytesMax: number;
  readonly #onHeld: (bytes: number) => void;
  readonly #waiting: { readonly bytes: number; readonly wake: () => void }[] = [];
  readonly #sends: (() => void)[] = [];
  #freeSends = sendsMax;
  #held = 0;

  constructor({ bytesMax = bytesMaxDefault, onHeld = () => undefined }: UploadMemoryOptions = {}) {
    [this.#bytesMax, this.#onHeld] = [bytesMax, onHeld];
  }

  /** Resolves when the bytes of a body are held, in the order of the calls. */
  async take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) this.#change(bytes);
    else await new Promise<void>((wake) => this.#waiting.push({ bytes, wake }));
  }

  /** They are not held any more. */
  give(bytes: number): void {
    this.#change(-bytes);
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#change(next.bytes);
      next.wake();
    }
  }

  /** Runs a request with a body, once there are not too many. */
  async send<T>(request: () => Promise<T>): Promise<T> {
    if (this.#freeSends > 0) this.#freeSends--;
    else await new Promise<void>((resolve) => this.#sends.push(resolve));
    try {
      return await request();
    } finally {
      const next = this.#sends.shift();
      if (next === undefined) this.#freeSends++;
      else next();
    }
  }

  #fits(bytes: number): boolean {
    return this.#held === 0 || this.#held + bytes <= this.#bytesMax;
  }

  #change(bytes: number): void {
    this.#held += bytes;
    this.#onHeld(this.#held);
  }
}

/** The last fields of a response head over HTTP/1.1: those that Node sends too. They are encoded once a second. */
import type { Clock } from "../../../lib/time/clock.ts";

export class HeadEnds {
  readonly #clock: Pick<Clock, "wallMs">;
  readonly #keepAlive: string;
  #second = Number.NaN;
  #ends: Uint8Array[] = [];

  /** `idleMs`: how long a connection without a request stays open. */
  constructor(clock: Pick<Clock, "wallMs">, idleMs: number) {
    this.#clock = clock;
    this.#keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(idleMs / 1000)}`;
  }

  /** Returns the fields, with the empty line. */
  of(isChunked: boolean, closes: boolean): Uint8Array {
    const second = Math.floor(this.#clock.wallMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#ends = [];
    }
    const at = (isChunked ? 1 : 0) + (closes ? 2 : 0);
    this.#ends[at] ??= this.#encode(isChunked, closes);
    return this.#ends[at];
  }

  #encode(isChunked: boolean, closes: boolean): Uint8Array {
    const date = `Date: ${new Date(this.#second * 1000).toUTCString()}`;
    const lines = [date, closes ? "Connection: close" : this.#keepAlive];
    if (isChunked) lines.push("Transfer-Encoding: chunked");
    return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  }
}

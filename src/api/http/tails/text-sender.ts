/**
 * Sends the text of a tail, chunk by chunk, as fast as the client takes it. Between two chunks other work has its turn. While
 * the client keeps up and there is time, everything runs at once, without a promise: a thousand tails are sent in one turn.
 */
import type { Clock } from "../../../lib/time/clock.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import type { Call } from "../../calls/call-tracker.ts";
import type { Traffic } from "../../calls/traffic.ts";
import type { ReadHold } from "../../methods/read-admission.ts";
import type { Exchange } from "../exchange/exchange.ts";

/** A part of a text, with the number of records that end in it. */
export interface SentText {
  readonly bytes: Uint8Array;
  readonly records: number;
  /** No part follows: nothing is waited for. */
  readonly isLast?: boolean;
}

export interface TextSenderOptions {
  readonly exchange: Pick<Exchange, "write">;
  /** Counts the bytes that are sent. */
  readonly call: Pick<Call, "bytesOut">;
  readonly traffic: Pick<Traffic, "sent">;
  readonly clock: Clock;
  /** Counts the slice from which the text is made. */
  readonly hold: Pick<ReadHold, "rendered" | "progress">;
}

export class TextSender {
  readonly #options: TextSenderOptions;

  constructor(options: TextSenderOptions) {
    this.#options = options;
  }

  /**
   * Sends all chunks. Returns false, or a promise of it, if the client has disconnected. The generator is ended in any case.
   * @throws what the generator throws
   */
  send(chunks: Generator<SentText, void, undefined>): boolean | Promise<boolean> {
    const turns = workTurns(this.#options.clock);
    let isDone = false;
    try {
      for (let next = chunks.next(); next.done !== true; next = chunks.next()) {
        const written = this.#write(next.value);
        if (written === false) return false;
        const goesOn = written === true && (next.value.isLast === true || turns.mayBegin());
        const later = goesOn ? undefined : this.#wait(written, next.value);
        if (later === undefined) {
          this.#options.hold.progress(next.value.bytes.length);
          continue;
        }
        isDone = true;
        return this.#sendRest(chunks, later);
      }
      isDone = true;
      return true;
    } finally {
      if (!isDone) chunks.return();
    }
  }

  async #sendRest(chunks: Generator<SentText, void, undefined>, isOpen: Promise<boolean>): Promise<boolean> {
    try {
      if (!(await isOpen)) return false;
      for (let next = chunks.next(); next.done !== true; next = chunks.next()) {
        if (!(await this.#wait(this.#write(next.value), next.value))) return false;
      }
      return true;
    } finally {
      chunks.return();
    }
  }

  #write({ bytes, records }: SentText): boolean | Promise<boolean> {
    const { exchange, call, traffic, hold } = this.#options;
    call.bytesOut += bytes.length;
    traffic.sent(records, bytes.length);
    const written = exchange.write(bytes);
    hold.rendered();
    return written;
  }

  /** Waits until the client has room, and then for a turn of the event loop. */
  async #wait(written: boolean | Promise<boolean>, { bytes, isLast }: SentText): Promise<boolean> {
    if (!(await written)) return false;
    this.#options.hold.progress(bytes.length);
    if (isLast === true) return true;
    const later = workTurns(this.#options.clock).next();
    if (later !== undefined) await later;
    return true;
  }
}

/** The pings under way, by sequence number (memberlist's ackHandlers). */
import type { Ack } from "../codec/messages.ts";

export interface AckHandler {
  readonly onAck: () => void;
  readonly onNack?: () => void;
}

export class AckHandlers {
  readonly #handlers = new Map<number, AckHandler>();
  #seqNo: number;

  /** Sequence numbers follow `firstSeqNo`. A random one keeps forgers from guessing them. */
  constructor(firstSeqNo: number) {
    this.#seqNo = firstSeqNo;
  }

  /** Returns the sequence number of a new ping. The caller removes it. */
  add(handler: AckHandler): number {
    this.#seqNo = (this.#seqNo + 1) >>> 0;
    this.#handlers.set(this.#seqNo, handler);
    return this.#seqNo;
  }

  /** Returns false if it was removed before. */
  remove(seqNo: number): boolean {
    return this.#handlers.delete(seqNo);
  }

  receive({ kind, seqNo }: Ack): void {
    const handler = this.#handlers.get(seqNo);
    if (kind === "ack") handler?.onAck();
    else handler?.onNack?.();
  }
}

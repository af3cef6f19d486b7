/**
 * What an append of the Durable Streams protocol states beside its records. It is a batch of its own, in a named log, and has no
 * ProducerStamp.
 *
 * The result of an append with a producer has its last sequence. That of a duplicate has no records, and the end of the log as
 * its offset.
 */

/** An idempotent producer. Its sequence counts requests, not records. */
export interface StreamProducer {
  /** Chosen by the client, 1 to 255 bytes. Two subjects can use the same one. */
  readonly name: string;
  readonly epoch: number;
  readonly sequence: number;
}

export interface StreamHead {
  readonly producer?: StreamProducer;
  /** 1 to 255 bytes; must be greater, as bytes, than that of every append before. */
  readonly order?: string;
  /** The log takes no more records after these, of which there may be none. */
  readonly closes?: true;
}

export interface StreamOptions {
  readonly stream?: StreamHead;
}

export interface StreamResult {
  /** The last sequence of the producer. */
  readonly sequence?: number;
}

/** The longest name and order, in bytes of UTF-8. */
export const streamTextBytesMax = 255;

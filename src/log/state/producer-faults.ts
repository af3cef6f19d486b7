/**
 * The faults of a producer whose records are refused. `written` is "unknown" if an earlier attempt may have appended them.
 */
import { Fault } from "../../fault.ts";
import type { ProducedBatch } from "./produced-batch.ts";

/** A sequence below the expected one is in the log, at least in part. */
export function outOfSequence(expected: number, sequence: number): Fault {
  return new Fault("out-of-sequence", {
    message: `the producer's next sequence is ${expected}, not ${sequence}`,
    facts: { expected, sequence },
    written: sequence < expected ? "unknown" : "no",
  });
}

/** The older epoch may have appended the records before it was fenced. */
export const producerFenced = (epoch: number): Fault =>
  new Fault("producer-fenced", { facts: { epoch }, written: "unknown" });

/** The producer may have appended the records before it expired. */
export const unknownProducer = (sequence: number): Fault =>
  new Fault("unknown-producer", {
    message: `the producer is not known, or its state has expired: its first sequence must be 0, not ${sequence}`,
    facts: { sequence },
    written: "unknown",
  });

/** The records are in the log, but their batch is not in the table any more. */
export function sequenceTooOld(
  sequence: number,
  expected: number,
  oldest: ProducedBatch,
  newest: ProducedBatch,
): Fault {
  return new Fault("sequence-too-old", {
    message: `sequence ${sequence} is in the log, but offsets are kept only from sequence ${oldest.sequence} on`,
    facts: {
      sequence,
      expected,
      oldest: oldest.sequence,
      last_sequence: newest.sequence + newest.count - 1,
      last_offset: newest.firstOffset + newest.count - 1,
    },
    written: "unknown",
  });
}

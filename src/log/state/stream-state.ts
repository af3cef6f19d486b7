/**
 * What a log knows of the appends of the Durable Streams protocol: its producers, and the greatest Stream-Seq. It is a part of the
 * row of the log, so it is as durable as the row, and needs no room for logs without it. Pure.
 *
 * Any sequence up to the last one of a producer is a duplicate: the protocol needs no more of it than the last one. The producers
 * are in the order of their last append, and have at most `producersBytesMax` together. A new one takes the place of the one that
 * appended least recently; the leader refuses it if that was not long ago.
 */
import { Fault } from "../../fault.ts";
import type { OwnedProducer, StreamCommand } from "../frame/stream-command.ts";
import { outOfSequence, producerFenced } from "./producer-faults.ts";

export interface KnownProducer extends OwnedProducer {
  /** The time of its last append. */
  readonly lastMs: number;
}

export interface StreamState {
  readonly order?: string;
  readonly producers?: readonly KnownProducer[];
}

/** A producer that appended within this time does not lose its place. */
const placeMs = 7 * 24 * 3_600_000;
const producersBytesMax = 8 * 1024;
/** Space for the numbers of a producer. */
const numbersBytes = 48;

/** The state after a batch with this command. It refuses nothing. */
export function streamAfter(
  state: StreamState | undefined,
  { producer, order }: StreamCommand,
  timestampMs: number,
): StreamState | undefined {
  if (producer === undefined && order === undefined) return state;
  const producers = producer === undefined ? state?.producers : withProducer(state, producer, timestampMs);
  const last = order ?? state?.order;
  return {
    ...(last === undefined ? {} : { order: last }),
    ...(producers === undefined ? {} : { producers }),
  };
}

function withProducer(
  state: StreamState | undefined,
  producer: OwnedProducer,
  lastMs: number,
): readonly KnownProducer[] {
  const others = (state?.producers ?? []).filter((one) => !isSame(one, producer));
  const all = [...others, { ...producer, lastMs }];
  let bytes = 0;
  for (const one of all) bytes += sizeOf(one);
  let first = 0;
  while (bytes > producersBytesMax && first < all.length - 1) bytes -= sizeOf(all[first++]!);
  return first === 0 ? all : all.slice(first);
}

const isSame = (one: OwnedProducer, other: OwnedProducer): boolean =>
  one.name === other.name && one.subject === other.subject;

const sizeOf = ({ name, subject }: OwnedProducer): number =>
  numbersBytes + Buffer.byteLength(name) + Buffer.byteLength(subject);

/**
 * Returns the last sequence of the producer if the append is a duplicate, undefined if it is the next one.
 * @throws Fault "producer-fenced"; "out-of-sequence" with `expected`; "bad-request" for a new epoch that does not begin with
 *   sequence 0; "too-many-producers"
 */
export function checkProducer(
  state: StreamState | undefined,
  producer: OwnedProducer,
  nowMs: number,
): number | undefined {
  const known = state?.producers?.find((one) => isSame(one, producer));
  const { epoch, sequence } = producer;
  if (known === undefined) {
    if (sequence !== 0) throw outOfSequence(0, sequence);
    checkPlace(state?.producers ?? [], producer, nowMs);
    return undefined;
  }
  if (epoch < known.epoch) throw producerFenced(known.epoch);
  if (epoch > known.epoch) {
    if (sequence === 0) return undefined;
    throw new Fault("bad-request", {
      message: `the first sequence of epoch ${epoch} of the producer must be 0, not ${sequence}`,
      facts: { field: "Producer-Seq" },
    });
  }
  if (sequence <= known.sequence) return known.sequence;
  if (sequence === known.sequence + 1) return undefined;
  throw outOfSequence(known.sequence + 1, sequence);
}

/** @throws Fault "too-many-producers" if the place of a new producer is that of one that appended not long ago */
function checkPlace(producers: readonly KnownProducer[], producer: OwnedProducer, nowMs: number): void {
  let bytes = sizeOf(producer);
  for (const one of producers) bytes += sizeOf(one);
  for (const one of producers) {
    if (bytes <= producersBytesMax) return;
    if (one.lastMs + placeMs > nowMs)
      throw new Fault("too-many-producers", {
        message: `the log has ${producers.length} producers that appended in the last 7 days, and no room for one more`,
        facts: { limit: producers.length },
      });
    bytes -= sizeOf(one);
  }
}

/** @throws Fault "failed-precondition" unless the order is greater, as bytes, than the one before */
export function checkOrder(state: StreamState | undefined, order: string): void {
  const last = state?.order;
  if (last === undefined || Buffer.compare(Buffer.from(order), Buffer.from(last)) > 0) return;
  throw new Fault("failed-precondition", {
    message: `Stream-Seq must be greater than that of the append before, "${last}", and is "${order}"`,
    facts: { reason: "STREAM_SEQ" },
  });
}

/** Returns the value if it is the state of a stream; undefined for anything else. */
export function streamFrom(value: unknown): StreamState | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { order, producers } = value as Readonly<Record<string, unknown>>;
  if (order !== undefined && typeof order !== "string") return undefined;
  const kept = producers === undefined ? undefined : producersFrom(producers);
  if (producers !== undefined && kept === undefined) return undefined;
  return { ...(order === undefined ? {} : { order }), ...(kept === undefined ? {} : { producers: kept }) };
}

function producersFrom(value: unknown): readonly KnownProducer[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const found = (value as unknown[]).map(knownFrom);
  return found.every((one) => one !== undefined) ? found : undefined;
}

function knownFrom(value: unknown): KnownProducer | undefined {
  const [name, subject, epoch, sequence, lastMs] = Array.isArray(value) ? (value as unknown[]) : [];
  if (typeof name !== "string" || typeof subject !== "string") return undefined;
  if (!isWhole(epoch) || !isWhole(sequence) || !isWhole(lastMs)) return undefined;
  return { name, subject, epoch, sequence, lastMs };
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** The state as a plain value. */
export const streamToValue = ({ order, producers }: StreamState): object => ({
  ...(order === undefined ? {} : { order }),
  ...(producers === undefined
    ? {}
    : {
        producers: producers.map(({ name, subject, epoch, sequence, lastMs }) => [
          ...[name, subject, epoch, sequence, lastMs],
        ]),
      }),
});

/**
 * Reads ProduceRequest and ProduceBatchRequest off the wire without making objects of their records. Pure.
 *
 *   ProduceRequest      := record=1 (exactly once)  producer=2?  expected_offset=3?  unknown*     in any order
 *   ProduceBatchRequest := records=1 (in runs)      producer=2?  expected_offset=3?  unknown*
 *
 * "Unusual" is every form this file does not know (a field twice, a group, no record, very many unknown fields): the
 * caller then takes the slow and complete way through protobuf-es, so that both lanes mean the same. A record that may
 * be stored as it is, is not copied, unless the records come in several runs.
 */
import { readVarint, varintEnd } from "../../lib/bytes.ts";
import {
  type RecordLimits,
  recordTag,
  skipField,
  storedRun,
  tooManyRecords,
  type Walk,
  walkElements,
} from "../../log/mod.ts";
import type { ProducerStamp, RecordRun } from "../../types.ts";
import { messageFieldsMax } from "../request-limits/message-limits.ts";

const producerTag = 0x12;
const expectedOffsetTag = 0x18;
/** Of field number 4. */
const firstUnknownTag = 0x20;

const noRun: RecordRun = { bytes: new Uint8Array(0), count: 0 };

/** What was read. One object serves a whole stream: the fields hold until the next read. */
export class AppendRequest {
  run: RecordRun = noRun;
  producer: ProducerStamp | undefined;
  expectedOffset: number | undefined;
  readonly #walk: Walk = { end: 0, count: 0, asIs: true };
  readonly #limits: RecordLimits;
  readonly #subject: string;

  /** `subject` owns the producer ids of these requests. */
  constructor(limits: RecordLimits, subject: string) {
    this.#limits = limits;
    this.#subject = subject;
  }

  /**
   * Reads one message. Answers false when it is unusual; throws Faults "bad-record" and "too-large" of the walk.
   * `recordsMin … recordsMax` is how many records the method takes.
   */
  read(bytes: Uint8Array, start: number, end: number, recordsMin: number, recordsMax: number): boolean {
    this.producer = undefined;
    this.expectedOffset = undefined;
    let run: RecordRun | undefined;
    let runs: RecordRun[] | undefined;
    let count = 0;
    let unknown = 0;
    let at = start;
    while (at < end) {
      const tag = bytes[at] as number;
      if (tag === recordTag) {
        walkElements(bytes, at, end, this.#limits, this.#walk);
        count += this.#walk.count;
        if (count < recordsMin || count > recordsMax) return false;
        if (count > this.#limits.recordsMax) throw tooManyRecords(this.#limits.recordsMax);
        const next = storedRun(bytes, at, this.#walk);
        if (run !== undefined) {
          runs ??= [run];
          runs.push(next);
        }
        run ??= next;
        at = this.#walk.end;
      } else if (tag === producerTag && this.producer === undefined) {
        at = this.#readProducer(bytes, at + 1, end);
      } else if (tag === expectedOffsetTag && this.expectedOffset === undefined) {
        this.expectedOffset = readVarint(bytes, at + 1, end);
        at = this.expectedOffset < 0 ? -1 : varintEnd(bytes, at + 1, end);
      } else {
        if (readVarint(bytes, at, end) < firstUnknownTag || ++unknown > messageFieldsMax) return false;
        at = skipField(bytes, at, end);
      }
      if (at < 0) return false;
    }
    this.run = runs === undefined ? (run ?? noRun) : joined(runs, count);
    return run !== undefined;
  }

  /** Answers the position behind the producer, or −1 when it is unusual. */
  #readProducer(bytes: Uint8Array, at: number, end: number): number {
    const length = readVarint(bytes, at, end);
    const body = varintEnd(bytes, at, end);
    if (length < 0 || length > end - body) return -1;
    const stop = body + length;
    let id = 0n;
    let epoch = 0;
    let sequence = 0;
    let last = 0;
    for (let from = body; from < stop; ) {
      const tag = bytes[from] as number;
      if (tag <= last) return -1;
      last = tag;
      const behind = varintEnd(bytes, from + 1, stop);
      if (behind < 0) return -1;
      if (tag === 0x08) {
        id = readBigVarint(bytes, from + 1, behind);
        if (id < 0n) return -1;
      } else {
        const value = readVarint(bytes, from + 1, stop);
        if (value < 0) return -1;
        if (tag === 0x10 && value <= 0xffff_ffff) epoch = value;
        else if (tag === 0x18) sequence = value;
        else return -1;
      }
      from = behind;
    }
    this.producer = { subject: this.#subject, id, epoch, sequence };
    return stop;
  }
}

/** Several runs as one: elements of a repeated field stand anywhere in a message. */
function joined(runs: readonly RecordRun[], count: number): RecordRun {
  return { bytes: Buffer.concat(runs.map(({ bytes }) => bytes)), count };
}

/** The 64-bit varint in `at … end`, or −1n when it does not fit 64 bits. */
function readBigVarint(bytes: Uint8Array, at: number, end: number): bigint {
  if (end - at <= 7) return BigInt(readVarint(bytes, at, end));
  let value = 0n;
  for (let from = end - 1; from >= at; from--) value = (value << 7n) | BigInt((bytes[from] as number) & 0x7f);
  return value > 0xffff_ffff_ffff_ffffn ? -1n : value;
}

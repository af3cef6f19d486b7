/**
 * Reads ProduceRequest and ProduceBatchRequest from their bytes without creating an object per record.
 *
 *   ProduceRequest      := record=1 (exactly once)  producer=2?  expected_offset=3?  log=4?  log_id=5?  unknown*
 *   ProduceBatchRequest := records=1 (in runs)      producer=2?  expected_offset=3?  log=4?  log_id=5?  unknown*
 *                          in any order
 *   Producer            := id=1:u64  epoch=2:u32  sequence=3:u64                     in this order, each optional
 *
 * Every other form (a field twice, a group, no record, very many unknown fields) is "unusual". The caller then decodes
 * the message with protobuf-es, so that the fast path means the same as Connect's handlers. Records are not copied if they
 * can be stored as they are and form one run.
 */
import { isUtf8 } from "node:buffer";
import { readVarint, varintEnd } from "../../../lib/bytes.ts";
import {
  type RecordLimits,
  recordTag,
  skipField,
  storedRun,
  tooManyRecords,
  type Walk,
  walkElements,
} from "../../../log/mod.ts";
import type { LogRef, ProducerStamp, RecordRun } from "../../../types.ts";
import type { AppendRequest } from "../../methods/append-request.ts";
import type { LogInRequest } from "../../methods/logs/log-directory.ts";
import { messageFieldsMax } from "../../request-limits/message-limits.ts";

const producerTag = 0x12;
const expectedOffsetTag = 0x18;
const logTag = 0x22;
const logIdTag = 0x2a;
/** The lowest tag of field number 6, the first that the messages do not have. */
const firstUnknownTag = 0x30;
const producerIdTag = 0x08;
const producerEpochTag = 0x10;
const producerSequenceTag = 0x18;

const noRun: RecordRun = { bytes: new Uint8Array(0), count: 0 };

/** Reads requests one after the other. It is itself the request that was read last, so a stream needs one object. */
export class AppendRequestReader implements AppendRequest {
  run: RecordRun = noRun;
  producer: ProducerStamp | undefined;
  expectedOffset: number | undefined;
  /** The log as the message names it. The owner of the reader finds it (LogDirectory) and sets `log`. */
  readonly named: { -readonly [Field in keyof LogInRequest]: LogInRequest[Field] } = {
    log: "",
    logId: undefined,
  };
  log: LogRef | undefined;
  readonly #walk: Walk = { end: 0, count: 0, asIs: true };
  readonly #limits: RecordLimits;
  readonly #subject: string;

  /** `subject` is the owner of the producer ids in these requests. */
  constructor(limits: RecordLimits, subject: string) {
    this.#limits = limits;
    this.#subject = subject;
  }

  /**
   * Reads the message in `bytes[start … end)`. Returns false if it is unusual.
   * @param recordsMin fewest records that the method accepts
   * @param recordsMax most records that the method accepts
   * @throws Fault "bad-record", "too-large"
   */
  read(bytes: Uint8Array, start: number, end: number, recordsMin: number, recordsMax: number): boolean {
    this.producer = undefined;
    this.expectedOffset = undefined;
    this.log = undefined;
    this.named.log = "";
    this.named.logId = undefined;
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
      } else if (tag === logTag && this.named.log === "") {
        const text = readText(bytes, at + 1, end);
        if (text === undefined) return false;
        this.named.log = text;
        at = skipField(bytes, at, end);
      } else if (tag === logIdTag && this.named.logId === undefined) {
        const text = readText(bytes, at + 1, end);
        if (text === undefined) return false;
        this.named.logId = text;
        at = skipField(bytes, at, end);
      } else {
        if (readVarint(bytes, at, end) < firstUnknownTag || ++unknown > messageFieldsMax) return false;
        at = skipField(bytes, at, end);
      }
      if (at < 0) return false;
    }
    this.run = runs === undefined ? (run ?? noRun) : joinedRuns(runs, count);
    return run !== undefined;
  }

  /** Returns the position after the producer, or −1 if it is unusual. */
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
      const next = varintEnd(bytes, from + 1, stop);
      if (next < 0) return -1;
      if (tag === producerIdTag) {
        id = readBigVarint(bytes, from + 1, next);
        if (id < 0n) return -1;
      } else {
        const value = readVarint(bytes, from + 1, stop);
        if (value < 0) return -1;
        if (tag === producerEpochTag && value <= 0xffff_ffff) epoch = value;
        else if (tag === producerSequenceTag) sequence = value;
        else return -1;
      }
      from = next;
    }
    this.producer = { subject: this.#subject, id, epoch, sequence };
    return stop;
  }
}

/** Returns a text after its length, undefined if it is cut short or not valid UTF-8. */
function readText(bytes: Uint8Array, at: number, end: number): string | undefined {
  const length = readVarint(bytes, at, end);
  const body = varintEnd(bytes, at, end);
  if (length < 0 || length > end - body) return undefined;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + body, length);
  return isUtf8(text) ? text.toString() : undefined;
}

/** Several runs as one: elements of a repeated field stand anywhere in a message. */
function joinedRuns(runs: readonly RecordRun[], count: number): RecordRun {
  return { bytes: Buffer.concat(runs.map(({ bytes }) => bytes)), count };
}

/** Returns the varint in `bytes[at … end)`, or −1n if it does not fit 64 bits. */
function readBigVarint(bytes: Uint8Array, at: number, end: number): bigint {
  if (end - at <= 7) return BigInt(readVarint(bytes, at, end));
  let value = 0n;
  for (let from = end - 1; from >= at; from--) value = (value << 7n) | BigInt((bytes[from] as number) & 0x7f);
  return value > 0xffff_ffff_ffff_ffffn ? -1n : value;
}

/**
 * The commands of control batches. Pure.
 *
 *   trim      := TrimRequest { before_offset = 1 }       protobuf
 *   settings  := JSON object, keys in the order below    shared by all nodes, so that all fold the log to the same state
 *
 * The command of a configuration belongs to the raft module. The log only stores it.
 */
import { Fault } from "../../fault.ts";
import { readVarint, varintBytes, varintEnd, writeVarint } from "../../lib/bytes.ts";
import type { Offset } from "../../types.ts";

/** Replicated in the log: a change is a batch and counts from the next batch on. */
export interface LogSettings {
  /** A segment's store file ends before this many bytes, unless its only frame is larger. */
  readonly segmentStoreBytesMax: number;
  /** The same for its index: 16 bytes a batch. */
  readonly segmentIndexBytesMax: number;
  /** From the first to the last timestamp in a segment; below 49 days, which an index entry can hold. */
  readonly segmentAgeMaxMs: number;
  /** Whole segments beyond this many bytes are trimmed. 0 keeps all. */
  readonly retentionBytes: number;
  /** Segments whose newest record is older are trimmed. 0 keeps all. */
  readonly retentionAgeMs: number;
  /** Producers in the producer table. */
  readonly producersMax: number;
  /** Of one subject. */
  readonly producersPerSubjectMax: number;
  /**
   * A producer expires when a batch is this much younger than its last batch, unless that is among the latest 256
   * entries.
   */
  readonly producerAgeMaxMs: number;
}

export const defaultSettings: LogSettings = {
  segmentStoreBytesMax: 64 * 1024 * 1024,
  segmentIndexBytesMax: 16 * 1024 * 1024,
  segmentAgeMaxMs: 24 * 3_600_000,
  retentionBytes: 0,
  retentionAgeMs: 0,
  producersMax: 10_000,
  producersPerSubjectMax: 1_000,
  producerAgeMaxMs: 7 * 24 * 3_600_000,
};

const keys = Object.keys(defaultSettings) as (keyof LogSettings)[];
const dayMs = 24 * 3_600_000;

/** @throws Fault "config" unless every setting is a whole number in its range */
export function checkSettings(settings: LogSettings): void {
  const floor: Partial<Record<keyof LogSettings, number>> = {
    segmentStoreBytesMax: 1,
    segmentIndexBytesMax: 16,
    segmentAgeMaxMs: 1,
    producersMax: 1,
    producersPerSubjectMax: 1,
    producerAgeMaxMs: 1,
  };
  const ceiling: Partial<Record<keyof LogSettings, number>> = {
    segmentStoreBytesMax: 2 ** 31,
    segmentIndexBytesMax: 2 ** 30,
    segmentAgeMaxMs: 49 * dayMs - 1,
    producersMax: 1_000_000,
    producersPerSubjectMax: 1_000_000,
  };
  for (const key of keys) {
    const [low, high] = [floor[key] ?? 0, ceiling[key] ?? Number.MAX_SAFE_INTEGER];
    const value = settings[key];
    if (Number.isSafeInteger(value) && value >= low && value <= high) continue;
    throw new Fault("config", {
      message: `${key} is ${value}, it must be a whole number from ${low} to ${high}`,
      facts: { setting: key, value, low, high },
    });
  }
}

export function sameSettings(one: LogSettings, other: LogSettings): boolean {
  return keys.every((key) => one[key] === other[key]);
}

export function encodeSettings(settings: LogSettings): Uint8Array {
  return Buffer.from(JSON.stringify(Object.fromEntries(keys.map((key) => [key, settings[key]]))));
}

/**
 * Ignores unknown keys. A missing key has its default.
 * @throws Fault "corrupt" for anything but a JSON object, and for a setting that is not in its range
 */
export function decodeSettings(command: Uint8Array): LogSettings {
  let given: Partial<Record<keyof LogSettings, number>> | null;
  try {
    given = JSON.parse(Buffer.from(command).toString()) as typeof given;
    if (typeof given !== "object" || given === null) throw new TypeError("not an object");
    const settings = { ...defaultSettings };
    for (const key of keys) settings[key] = given[key] ?? settings[key];
    checkSettings(settings);
    return settings;
  } catch (cause) {
    throw new Fault("corrupt", { message: "a settings command is malformed", cause });
  }
}

export function encodeTrim(before: Offset): Uint8Array {
  if (before === 0) return new Uint8Array(0);
  const command = new Uint8Array(1 + varintBytes(before));
  command[0] = 0x08;
  writeVarint(command, 1, before);
  return command;
}

/**
 * Returns the offset before which records are removed.
 * @throws Fault "corrupt"
 */
export function decodeTrim(command: Uint8Array): Offset {
  if (command.length === 0) return 0;
  const before = readVarint(command, 1, command.length);
  if (command[0] !== 0x08 || before < 0 || varintEnd(command, 1, command.length) !== command.length) {
    throw new Fault("corrupt", { message: "a trim command is malformed" });
  }
  return before;
}

/**
 * What a batch of the Durable Streams protocol holds beside its records: the command of a data batch, before its records, and of
 * a close. Pure.
 *
 *   stream := { "producer": [name, subject, epoch, sequence]?, "order": text?, "closes": true? }      JSON
 *
 * Batches with it need level 2.
 */
import { Fault } from "../../fault.ts";
import { type StreamHead, streamTextBytesMax } from "../../lib/stream-head.ts";
import { frameCommand, subjectBytesMax } from "./frame.ts";

/** The level at which a cluster has streams. */
export const streamsLevel = 2;

/** A producer with the subject that owns its name. */
export interface OwnedProducer {
  readonly name: string;
  readonly subject: string;
  readonly epoch: number;
  readonly sequence: number;
}

export interface StreamCommand {
  readonly producer?: OwnedProducer;
  readonly order?: string;
  readonly closes?: true;
}

/** Returns the command of an append by this subject. */
export function streamCommandOf({ producer, order, closes }: StreamHead, subject: string): StreamCommand {
  return {
    ...(producer === undefined ? {} : { producer: { ...producer, subject } }),
    ...(order === undefined ? {} : { order }),
    ...(closes === undefined ? {} : { closes }),
  };
}

export function encodeStreamCommand({ producer, ...rest }: StreamCommand): Uint8Array {
  if (producer === undefined) return Buffer.from(JSON.stringify(rest));
  const { name, subject, epoch, sequence } = producer;
  return Buffer.from(JSON.stringify({ producer: [name, subject, epoch, sequence], ...rest }));
}

/** Unknown keys are ignored. @throws Fault "corrupt" */
export function decodeStreamCommand(command: Uint8Array): StreamCommand {
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(command.buffer, command.byteOffset, command.length).toString());
  } catch (cause) {
    throw malformed("JSON", cause);
  }
  demand(typeof found === "object" && found !== null && !Array.isArray(found), "object");
  const { producer, order, closes } = found as Readonly<Record<string, unknown>>;
  demand(order === undefined || isText(order, streamTextBytesMax), "order");
  demand(closes === undefined || closes === true, "closes");
  return {
    ...(producer === undefined ? {} : { producer: producerFrom(producer) }),
    ...(order === undefined ? {} : { order }),
    ...(closes === undefined ? {} : { closes }),
  };
}

/** The command of the checked frame at `at`; undefined for a frame without one. */
export function frameStream(bytes: Uint8Array, at: number): StreamCommand | undefined {
  const command = frameCommand(bytes, at);
  return command.length === 0 ? undefined : decodeStreamCommand(command);
}

function producerFrom(value: unknown): OwnedProducer {
  const [name, subject, epoch, sequence] = Array.isArray(value) ? (value as unknown[]) : [];
  demand(isText(name, streamTextBytesMax), "producer");
  demand(typeof subject === "string" && Buffer.byteLength(subject) <= subjectBytesMax, "producer");
  demand(isWhole(epoch) && isWhole(sequence), "producer");
  return { name, subject, epoch, sequence };
}

const isText = (value: unknown, bytesMax: number): value is string =>
  typeof value === "string" && value !== "" && Buffer.byteLength(value) <= bytesMax;

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function demand(holds: boolean, part: string): asserts holds {
  if (!holds) throw malformed(part);
}

const malformed = (part: string, cause?: unknown): Fault =>
  new Fault("corrupt", { message: `the command of a stream is malformed (${part})`, facts: { part }, cause });

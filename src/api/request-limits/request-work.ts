/**
 * Limits the work that the messages of a request cause in Connect. Connect decodes a message at once: two million JSON
 * numbers or empty records would block the event loop for seconds. So each message is checked first:
 *
 *   small          is passed on unchanged, with a turn of the event loop after many
 *   compressed     is decompressed first, since few bytes can become many
 *   large          its values or fields are counted (json-scan.ts, message-limits.ts)
 *   a large batch  its records are taken out, over several turns (append-split.ts)
 *
 * A message that is too large, or a body that is cut short, is passed on, and Connect refuses it.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { Fault } from "../../fault.ts";
import { ProduceBatchRequestSchema } from "../../gen/log/v1/log_pb.js";
import { encodeEnvelope, envelopeFlag } from "../../lib/envelope.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import type { RecordLimits } from "../../log/mod.ts";
import type { RecordRun } from "../../types.ts";
import { connectErrorOf } from "../calls/error-mapping.ts";
import { splitBinary, splitJson } from "./append-split.ts";
import { GatheredBytes } from "./gathered-bytes.ts";
import { noTextNames } from "./json-names.ts";
import { jsonLimits, scanJson } from "./json-scan.ts";
import { checkFields, uncheckedBytesMax } from "./message-limits.ts";
import { MessageSplitter } from "./message-splitter.ts";

/** The records that were taken out of messages, by the number of the message in its request from 0. */
export type TakenRuns = Map<number, RecordRun>;

export interface WorkOptions {
  readonly method: DescMethod;
  readonly taken: TakenRuns;
  readonly recordLimits: RecordLimits;
  readonly clock: Clock;
  readonly messageBytesMax: number;
  /** The encodings that Connect is configured with. */
  readonly compressions: readonly Compression[];
}

/** Replaces the body of `request` by one whose messages are checked. Reading it throws the refusal. */
export function limitRequestWork(request: UniversalServerRequest, options: WorkOptions): void {
  const type = request.header.get("content-type") ?? "";
  const framing = framingOf(type);
  if (request.method !== "POST" || framing === undefined) return;
  const encoding = request.header.get(framing.encodingHeader) ?? "identity";
  const compression = options.compressions.find(({ name }) => name === encoding);
  const check = new MessageCheck(options, /[/+]json\b/i.test(type), compression);
  const body = request.body as AsyncIterable<Uint8Array>;
  if (framing.isEnveloped) {
    request.body = enveloped(body, check, options, framing.encodingHeader === "grpc-encoding");
    return;
  }
  const promised = request.header.get("content-length");
  const isForConnect = compression === undefined && encoding !== "identity";
  if (isForConnect || Number(promised ?? 0) > options.messageBytesMax) return;
  request.header.delete("content-length");
  request.header.delete("content-encoding");
  request.body = bare(body, check, promised, options.messageBytesMax);
}

interface Framing {
  readonly isEnveloped: boolean;
  readonly encodingHeader: string;
}

function framingOf(type: string): Framing | undefined {
  if (/^application\/grpc\b/i.test(type)) return { isEnveloped: true, encodingHeader: "grpc-encoding" };
  if (/^application\/connect\+/i.test(type)) {
    return { isEnveloped: true, encodingHeader: "connect-content-encoding" };
  }
  const isBare = /^application\/(json|proto)\b/i.test(type);
  return isBare ? { isEnveloped: false, encodingHeader: "content-encoding" } : undefined;
}

/** A body that is one message. `promised` is its content-length, which is checked here instead of by Connect. */
async function* bare(
  body: AsyncIterable<Uint8Array>,
  check: MessageCheck,
  promised: string | null,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  const gathered = new GatheredBytes();
  for await (const chunk of body) {
    gathered.add(chunk);
    if (gathered.length > bytesMax) {
      yield gathered.take();
      return;
    }
  }
  const whole = gathered.take();
  if (promised !== null && /^\d{1,15}$/.test(promised) && whole.length !== Number(promised)) {
    const message = `protocol error: promised ${promised} bytes, received ${whole.length}`;
    throw new ConnectError(message, Code.InvalidArgument);
  }
  const { decompresses } = check;
  const message = check.applyTo(whole.length, decompresses)
    ? await check.checked(whole, decompresses, 0)
    : whole;
  await workTurns(check.clock).next();
  yield message;
}

/** A body of enveloped messages. */
async function* enveloped(
  body: AsyncIterable<Uint8Array>,
  check: MessageCheck,
  { messageBytesMax, clock }: WorkOptions,
  isGrpc: boolean,
): AsyncGenerator<Uint8Array> {
  const splitter = new MessageSplitter(messageBytesMax, (length, flags) => {
    if (isGrpc) check.requireKnown(flags);
    return check.applyTo(length, (flags & envelopeFlag.compressed) !== 0);
  });
  for await (const chunk of body) {
    for (const part of splitter.push(chunk)) {
      if (part.kind === "bytes") yield part.bytes;
      else if (part.kind === "turn") await later(clock);
      else {
        const isCompressed = (part.flags & envelopeFlag.compressed) !== 0;
        const message = await check.checked(part.bytes, isCompressed, part.number);
        await workTurns(clock).next();
        yield encodeEnvelope(message, part.flags & ~envelopeFlag.compressed);
      }
    }
  }
  for (const part of splitter.end()) if (part.kind === "bytes") yield part.bytes;
}

/** Checks the messages of one request. */
class MessageCheck {
  readonly clock: Clock;
  readonly #options: WorkOptions;
  readonly #isJson: boolean;
  readonly #compression: Compression | undefined;

  constructor(options: WorkOptions, isJson: boolean, compression: Compression | undefined) {
    this.#options = options;
    this.clock = options.clock;
    this.#isJson = isJson;
    this.#compression = compression;
  }

  /** True if the request names a known encoding. */
  get decompresses(): boolean {
    return this.#compression !== undefined;
  }

  /** Returns whether a message must be checked. Connect refuses a message of an unknown encoding. */
  applyTo(length: number, isCompressed: boolean): boolean {
    return isCompressed ? this.decompresses : length > uncheckedBytesMax;
  }

  /**
   * Refuses flags that gRPC does not define, which Connect ignores. A compressed message without an encoding is for Connect.
   * @throws Fault or ConnectError "bad-request"
   */
  requireKnown(flags: number): void {
    const isCompressed = (flags & envelopeFlag.compressed) !== 0;
    if ((flags & ~envelopeFlag.compressed) === 0 || (isCompressed && !this.decompresses)) return;
    throw this.#refusal(new Fault("bad-request", { message: `an envelope has flags ${flags}, expected 0` }));
  }

  /** Returns the message that Connect decodes instead, not compressed. Throws the refusal. */
  async checked(message: Uint8Array, isCompressed: boolean, number: number): Promise<Uint8Array> {
    const { messageBytesMax } = this.#options;
    // Many bodies can be decompressed in one turn, and the check below takes time.
    const plain =
      isCompressed && this.#compression !== undefined
        ? await this.#compression.decompress(message, messageBytesMax)
        : message;
    if (plain.length <= uncheckedBytesMax) return plain;
    await workTurns(this.clock).next();
    try {
      const { message: rest, taken } = await checkLargeMessage(plain, {
        ...this.#options,
        isJson: this.#isJson,
      });
      if (taken !== undefined) this.#options.taken.set(number, taken);
      return rest;
    } catch (reason) {
      throw this.#refusal(reason);
    }
  }

  /** The handler of a stream reads the body itself and knows faults. Connect reads a single message. */
  #refusal(reason: unknown): unknown {
    const { methodKind } = this.#options.method;
    const isStream = methodKind === "client_streaming" || methodKind === "bidi_streaming";
    return isStream ? reason : connectErrorOf(reason);
  }
}

export interface LargeMessageOptions {
  readonly method: DescMethod;
  readonly isJson: boolean;
  readonly recordLimits: RecordLimits;
  readonly clock: Clock;
}

/**
 * Checks a message that is larger than uncheckedBytesMax. Returns the message to decode, and the records that were taken
 * out of it.
 * @throws Fault "bad-request", "bad-record", "too-large"
 */
export async function checkLargeMessage(
  message: Uint8Array,
  options: LargeMessageOptions,
): Promise<{ readonly message: Uint8Array; readonly taken?: RecordRun }> {
  const { method, recordLimits, clock, isJson } = options;
  try {
    if (method.input.typeName === ProduceBatchRequestSchema.typeName) {
      const split = isJson
        ? await splitJson(message, recordLimits, () => later(clock))
        : splitBinary(message, recordLimits);
      if (split !== undefined) return { message: split.rest, taken: split.run };
    } else if (isJson) scanJson(message, { ...jsonLimits, noText: noTextNames(method.input) });
    if (!isJson) checkFields(method.input, message);
    return { message };
  } catch (reason) {
    throw reason instanceof Fault ? reason : notDecoded(reason);
  }
}

/** Resolves in a later turn of the event loop. */
const later = (clock: Clock): Promise<void> => new Promise((resolve) => workTurns(clock).wait(resolve));

/** The fault for a record that protobuf-es cannot decode. */
function notDecoded(reason: unknown): Fault {
  const message = reason instanceof Error ? reason.message : String(reason);
  return new Fault("bad-request", { message, cause: reason });
}

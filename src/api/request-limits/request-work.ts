/**
 * Bounds the work that the messages of a request make in Connect. Connect decodes a message in one piece, whatever it
 * holds: two million JSON numbers or empty records take seconds. So the bytes go through here first:
 *
 *   small          passed on as they are, with a turn of the event loop between many
 *   compressed     decompressed, since few bytes can become many
 *   large          its values and fields are counted (json-scan.ts, message-limits.ts)
 *   a large batch  its records are taken out, over several turns (append-split.ts)
 *
 * A message that is too large, or a body that is cut short, is passed on for Connect to refuse.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Compression, encodeEnvelope, type UniversalServerRequest } from "@connectrpc/connect/protocol";
import { Fault } from "../../fault.ts";
import { ProduceBatchRequestSchema } from "../../gen/log/v1/log_pb.js";
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

/** The records that were taken out of messages, by the number of the message in its request. */
export type TakenRuns = Map<number, RecordRun>;

export interface WorkOptions {
  readonly method: DescMethod;
  readonly taken: TakenRuns;
  readonly recordLimits: RecordLimits;
  readonly clock: Clock;
  readonly messageBytesMax: number;
  /** Those that Connect understands. */
  readonly compressions: readonly Compression[];
}

const compressedFlag = 1;

/** Puts itself between the body of `request` and Connect. What it refuses, the reader of the body gets. */
export function boundWork(request: UniversalServerRequest, options: WorkOptions): void {
  const type = request.header.get("content-type") ?? "";
  const framing = framingOf(type);
  if (request.method !== "POST" || framing === undefined) return;
  const encoding = request.header.get(framing.encodingHeader) ?? "identity";
  const compression = options.compressions.find(({ name }) => name === encoding);
  const bounds = new Bounds(options, /[/+]json\b/i.test(type), compression);
  const body = request.body as AsyncIterable<Uint8Array>;
  if (framing.isEnveloped) {
    request.body = enveloped(body, bounds, options);
    return;
  }
  const promised = request.header.get("content-length");
  const isForConnect = compression === undefined && encoding !== "identity";
  if (isForConnect || Number(promised ?? 0) > options.messageBytesMax) return;
  request.header.delete("content-length");
  request.header.delete("content-encoding");
  request.body = bare(body, bounds, promised, options.messageBytesMax);
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

/** A body that is one message. `promised` is its content-length, which Connect would compare. */
async function* bare(
  body: AsyncIterable<Uint8Array>,
  bounds: Bounds,
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
  const { decompresses } = bounds;
  const message = bounds.applyTo(whole.length, decompresses)
    ? await bounds.bounded(whole, decompresses, 0)
    : whole;
  await workTurns(bounds.clock).next();
  yield message;
}

/** A body of messages with prefixes. */
async function* enveloped(
  body: AsyncIterable<Uint8Array>,
  bounds: Bounds,
  { messageBytesMax, clock }: WorkOptions,
): AsyncGenerator<Uint8Array> {
  const splitter = new MessageSplitter(messageBytesMax, (length, flags) =>
    bounds.applyTo(length, (flags & compressedFlag) !== 0),
  );
  for await (const chunk of body) {
    for (const piece of splitter.push(chunk)) {
      if (piece.kind === "bytes") yield piece.bytes;
      else if (piece.kind === "turn") await later(clock);
      else {
        const isCompressed = (piece.flags & compressedFlag) !== 0;
        const message = await bounds.bounded(piece.bytes, isCompressed, piece.number);
        await workTurns(clock).next();
        yield encodeEnvelope(piece.flags & ~compressedFlag, message);
      }
    }
  }
  for (const piece of splitter.end()) if (piece.kind === "bytes") yield piece.bytes;
}

/** What one request's messages must keep. */
class Bounds {
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

  /** The request names an encoding that is known here. */
  get decompresses(): boolean {
    return this.#compression !== undefined;
  }

  /** Must a message of so many bytes be looked at? One that is compressed in an unknown way is Connect's to refuse. */
  applyTo(length: number, isCompressed: boolean): boolean {
    return isCompressed ? this.decompresses : length > uncheckedBytesMax;
  }

  /** The message to be decoded instead, not compressed. Throws what the reader of the body is to get. */
  async bounded(message: Uint8Array, isCompressed: boolean, number: number): Promise<Uint8Array> {
    const { method, messageBytesMax } = this.#options;
    // The look below is a piece of work, and many bodies can be decompressed in one turn.
    const plain =
      isCompressed && this.#compression !== undefined
        ? await this.#compression.decompress(message, messageBytesMax)
        : message;
    if (plain.length <= uncheckedBytesMax) return plain;
    await workTurns(this.clock).next();
    try {
      return await this.#look(plain, number);
    } catch (reason) {
      const fault = reason instanceof Fault ? reason : notDecoded(reason);
      // A stream's handler reads the body itself and knows faults; a single message is read by Connect.
      const isStream = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
      throw isStream ? fault : connectErrorOf(fault);
    }
  }

  async #look(message: Uint8Array, number: number): Promise<Uint8Array> {
    const { method, recordLimits, clock, taken } = this.#options;
    const isBatch = method.input.typeName === ProduceBatchRequestSchema.typeName;
    if (isBatch) {
      const split = this.#isJson
        ? await splitJson(message, recordLimits, () => later(clock))
        : splitBinary(message, recordLimits);
      if (split !== undefined) {
        taken.set(number, split.run);
        return split.rest;
      }
    } else if (this.#isJson) scanJson(message, { ...jsonLimits, noText: noTextNames(method.input) });
    if (!this.#isJson) checkFields(method.input, message);
    return message;
  }
}

/** A later turn of the event loop, when there is time. */
const later = (clock: Clock): Promise<void> => new Promise((resolve) => workTurns(clock).wait(resolve));

/** A record that protobuf-es cannot read. */
function notDecoded(reason: unknown): Fault {
  const message = reason instanceof Error ? reason.message : String(reason);
  return new Fault("bad-request", { message, cause: reason });
}

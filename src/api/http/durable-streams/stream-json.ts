/**
 * The messages in a body of JSON: the elements of an array, one level deep, or the one value that it is. Each is stored as the
 * client wrote it: parsing and writing it again would round its numbers.
 *
 * The body is scanned once, with the limits of a request. Then the messages are parsed, in turns of the event loop.
 */
import { Fault } from "../../../fault.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import { elementValuesMax } from "../../request-limits/append-split.ts";
import { jsonLimits, scanJson } from "../../request-limits/json-scan.ts";

/** The most messages in one body. */
const messagesMax = 8_192;

const head = Buffer.from('{"messages":');
const tail = Buffer.from("}");
const limits = {
  ...jsonLimits,
  list: { name: "messages", elementsMax: messagesMax, elementValuesMax },
};
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Bytes, and messages, that are parsed in one turn. */
const turnBytes = 64 * 1024;
const turnMessages = 512;

const invalid = (): Fault => new Fault("bad-request", { message: "the body is not valid JSON" });

/**
 * Returns the messages; none for an empty array.
 * @throws Fault "bad-request" if the body is not JSON, "too-large" for too many values
 */
export async function messagesIn(body: Buffer, clock: Clock): Promise<Uint8Array[]> {
  const text = Buffer.concat([head, body, tail]);
  const shape = scanJson(text, limits);
  const span = shape?.members.get("messages");
  // A body such as `1,"messages":2` would be two members.
  if (shape === undefined || span === undefined || shape.members.size > 1) throw invalid();
  if (!isWhite(text, head.length, span.start) || !isWhite(text, span.end, text.length - tail.length))
    throw invalid();
  const isArray = text[span.start] === 0x5b;
  const { elements } = shape;
  const messages: Uint8Array[] = [];
  if (!isArray) messages.push(text.subarray(span.start, span.end));
  else
    for (let at = 0; at < elements.length; at += 2)
      messages.push(text.subarray(elements[at], elements[at + 1]));
  await checkMessages(messages, clock, invalid);
  return messages;
}

/** Parses each message, in turns of the event loop. @throws the refusal of the first one that is not JSON */
async function checkMessages(
  messages: readonly Uint8Array[],
  clock: Clock,
  refusal: (at: number) => Fault,
): Promise<void> {
  let bytes = 0;
  for (const [at, message] of messages.entries()) {
    if (!isJson(message)) throw refusal(at);
    bytes += message.length;
    if (bytes < turnBytes && (at + 1) % turnMessages !== 0) continue;
    bytes = 0;
    await workTurns(clock).next();
  }
}

export function isJson(message: Uint8Array): boolean {
  try {
    JSON.parse(utf8.decode(message));
    return true;
  } catch {
    return false;
  }
}

function isWhite(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return false;
  }
  return true;
}

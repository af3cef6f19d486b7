/** The headers of idempotent producers, and Stream-Seq. Pure. */
import { Fault } from "../../../fault.ts";
import { type StreamProducer, streamTextBytesMax } from "../../../lib/stream-head.ts";
import { type Exchange, headerOf } from "../exchange/exchange.ts";
import { badRequest } from "./stream-call.ts";

const names = ["Producer-Id", "Producer-Epoch", "Producer-Seq"] as const;

/** Returns the producer; undefined without its headers. @throws Fault "bad-request" */
export function producerOf(exchange: Pick<Exchange, "headers">): StreamProducer | undefined {
  const [name, epoch, sequence] = names.map((each) => headerOf(exchange, each.toLowerCase()));
  if (name === undefined && epoch === undefined && sequence === undefined) return undefined;
  if (name === undefined || epoch === undefined || sequence === undefined) {
    const missing = names.find((each) => headerOf(exchange, each.toLowerCase()) === undefined) ?? names[0];
    return badRequest(`${missing} is missing: a producer has ${names.join(", ")}`, missing);
  }
  return {
    name: checkedText(name, names[0]),
    epoch: numberOf(epoch, names[1]),
    sequence: numberOf(sequence, names[2]),
  };
}

/** Returns Stream-Seq, if there is one. @throws Fault "bad-request" */
export function orderOf(exchange: Pick<Exchange, "headers">): string | undefined {
  const text = headerOf(exchange, "stream-seq");
  return text === undefined ? undefined : checkedText(text, "Stream-Seq");
}

function checkedText(text: string, field: string): string {
  if (text !== "" && Buffer.byteLength(text) <= streamTextBytesMax) return text;
  throw new Fault("bad-request", {
    message: `${field} has 1 to ${streamTextBytesMax} bytes, this one has ${Buffer.byteLength(text)}`,
    facts: { field },
  });
}

function numberOf(text: string, field: string): number {
  const number = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(number)) return number;
  return badRequest(`${field} must be a whole number from 0 to 2^53 - 1`, field);
}

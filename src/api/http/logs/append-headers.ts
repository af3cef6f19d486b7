/**
 * The headers of an append to a log.
 *
 *   Tailrace-Key := percent-encoded UTF-8          Tailrace-Expected-Offset := N
 *   Tailrace-Key-Base64 := base64                  Tailrace-Producer := id "," epoch "," sequence
 */
import { Fault } from "../../../fault.ts";
import type { Offset, ProducerStamp } from "../../../types.ts";
import { type Exchange, headerOf } from "../exchange/exchange.ts";
import { parseOffset } from "../produce-consume-json.ts";
import { parseBase64 } from "../record-json.ts";

const reject = (message: string, field: string): never => {
  throw new Fault("bad-request", { message, facts: { field } });
};

/** Returns the key of the record, undefined if no header has one. @throws Fault "bad-request" */
export function keyOf(exchange: Pick<Exchange, "headers">): Uint8Array | undefined {
  const text = headerOf(exchange, "tailrace-key");
  const base64 = headerOf(exchange, "tailrace-key-base64");
  if (text === undefined)
    return base64 === undefined
      ? undefined
      : (parseBase64(base64) ??
          reject(
            "Tailrace-Key-Base64 must be base64 in the standard alphabet, padded",
            "Tailrace-Key-Base64",
          ));
  if (base64 !== undefined) reject("the key is given by two headers", "Tailrace-Key");
  const field = "Tailrace-Key";
  // A comma that is not encoded could stand between two fields of this name.
  if (!/^[\x21-\x2b\x2d-\x7e]*$/.test(text))
    return reject("Tailrace-Key must be percent-encoded: spaces, commas and all that is not ASCII", field);
  try {
    return Buffer.from(decodeURIComponent(text));
  } catch {
    return reject(
      "Tailrace-Key is not valid percent-encoded UTF-8; Tailrace-Key-Base64 takes any bytes",
      field,
    );
  }
}

/** @throws Fault "bad-request" */
export function expectedOffsetOf(exchange: Pick<Exchange, "headers">): Offset | undefined {
  const text = headerOf(exchange, "tailrace-expected-offset");
  return text === undefined ? undefined : parseOffset(text);
}

const epochMax = 0xffff_ffff;
const idMax = 0xffff_ffff_ffff_ffffn;
const digits = /^\d{1,20}$/;

/** @throws Fault "bad-request" */
export function producerOf(exchange: Pick<Exchange, "headers">, subject: string): ProducerStamp | undefined {
  const text = headerOf(exchange, "tailrace-producer");
  if (text === undefined) return undefined;
  const parts = text.split(",", 4).map((part) => part.trim());
  const [idText = "", epochText = "", sequenceText = ""] = parts;
  if (parts.length === 3 && parts.every((part) => digits.test(part))) {
    const [id, epoch, sequence] = [BigInt(idText), Number(epochText), Number(sequenceText)];
    if (id <= idMax && epoch <= epochMax && Number.isSafeInteger(sequence))
      return { subject, id, epoch, sequence };
  }
  return reject("Tailrace-Producer must be id,epoch,sequence, such as 7,0,12", "Tailrace-Producer");
}

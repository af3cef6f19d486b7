/** Decodes a request with protobuf-es, with the limits and errors of Connect's handlers. */
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { undecodable } from "../../methods/append-message.ts";
import { checkFields } from "../../request-limits/message-limits.ts";

/** @throws Fault "bad-request", and "too-large" for too many fields */
export function decodeMessage<Desc extends DescMessage>(
  schema: Desc,
  message: Uint8Array,
): MessageShape<Desc> {
  checkFields(schema, message);
  try {
    return fromBinary(schema, message);
  } catch (reason) {
    throw undecodable(reason);
  }
}

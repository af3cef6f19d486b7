/** What the log keeps of a client's record, in a form that tests can compare. */
import fc from "fast-check";
import type { Record as RecordMessage } from "../../../../src/gen/log/v1/log_pb.js";

/** Arbitrary content of a value, a key or a header. */
export const contentBytes = fc.uint8Array({ maxLength: 300 });

export const storedContent = ({ value, key, headers }: Pick<RecordMessage, "value" | "key" | "headers">) => ({
  value: Buffer.from(value).toString("hex"),
  key: Buffer.from(key).toString("hex"),
  headers: headers.map((header) => [header.key, Buffer.from(header.value).toString("hex")]),
});

/**
 * Decodes google.rpc.ErrorInfo. The generated schema would bring the descriptors of all of Google's error details into
 * the page, 1.2 kB compressed.
 */
import { Fields } from "./wire.ts";

export interface ErrorInfo {
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export const errorInfoType = "google.rpc.ErrorInfo";
const utf8 = new TextDecoder();

/** Throws RangeError when the bytes are no ErrorInfo. */
export function readErrorInfo(message: Uint8Array): ErrorInfo {
  let reason = "";
  const metadata: (readonly [key: string, value: string])[] = [];
  const reader = new Fields(message);
  while (reader.more()) {
    if (reader.field === 1) reason = utf8.decode(reader.bytes());
    else if (reader.field === 3) metadata.push(readEntry(reader.bytes()));
    else reader.skip();
  }
  return { reason, metadata: Object.fromEntries(metadata) };
}

function readEntry(entry: Uint8Array): readonly [key: string, value: string] {
  let [key, value] = ["", ""];
  const reader = new Fields(entry);
  while (reader.more()) {
    if (reader.field === 1) key = utf8.decode(reader.bytes());
    else if (reader.field === 2) value = utf8.decode(reader.bytes());
    else reader.skip();
  }
  return [key, value];
}

/**
 * Shows a value as JSON, text, hex, base64 or MessagePack, as detected or as selected. All work is bounded: a row decodes
 * the first few hundred bytes only, a page of a large value tens of kilobytes. Nothing here throws on a record's bytes.
 */
import { toBase64 } from "./base64.ts";
import { decodeMsgpack } from "./msgpack.ts";
import { visibleLine } from "./visible.ts";

export type Format = "json" | "text" | "hex" | "base64" | "msgpack";
export type FormatChoice = "auto" | Format;
export const formatChoices: readonly FormatChoice[] = ["auto", "json", "text", "hex", "base64", "msgpack"];

/** Characters that a row shows at most. */
export const previewLength = 280;
/** Larger values are not parsed as a whole (they are shown as text). */
const parseBytesMax = 4 << 20;

const strict = new TextDecoder("utf-8", { fatal: true });
const lenient = new TextDecoder();

/** The value's text if it is UTF-8, else undefined. */
export function textOf(value: Uint8Array): string | undefined {
  try {
    return strict.decode(value);
  } catch {
    return undefined;
  }
}

/** The value's text with U+FFFD for what is not UTF-8. */
export function lenientText(value: Uint8Array): string {
  return lenient.decode(value);
}

/** Detects the format from the first bytes; "json" means that the text begins like JSON. */
export function detect(value: Uint8Array): Format {
  if (value.length === 0) return "text";
  const head = lenientText(value.subarray(0, 512));
  const odd = countOdd(head);
  if (odd === 0) return /^\s*[[{"]/.test(head) ? "json" : "text";
  if (isLikelyMsgpack(value)) return "msgpack";
  return odd * 10 > head.length || head.includes("\0") ? "hex" : "text";
}

/** Counts replacement and control characters that text does not have. A truncated last character does not count. */
function countOdd(head: string): number {
  let odd = 0;
  for (let at = 0; at < head.length; at++) {
    const code = head.charCodeAt(at);
    if (code === 0xfffd && at < head.length - 1) odd++;
    else if (code < 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09 && code !== 0x1b) odd++;
  }
  return odd;
}

/** A map or an array at the top that decodes to the last byte. */
function isLikelyMsgpack(value: Uint8Array): boolean {
  const tag = value[0] as number;
  const container = (tag >= 0x80 && tag <= 0x9f) || (tag >= 0xdc && tag <= 0xdf);
  return container && value.length <= 64 << 10 && parseMsgpack(value).ok;
}

export type Parsed =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly why: string };

export function parseJson(value: Uint8Array): Parsed {
  if (value.length > parseBytesMax) return { ok: false, why: "too large to fold" };
  const text = textOf(value);
  if (text === undefined) return { ok: false, why: "not UTF-8" };
  try {
    return { ok: true, value: JSON.parse(text) as unknown };
  } catch (error) {
    return { ok: false, why: (error as Error).message.slice(0, 120) };
  }
}

export function parseMsgpack(value: Uint8Array): Parsed {
  try {
    return { ok: true, value: decodeMsgpack(value) };
  } catch (error) {
    return { ok: false, why: (error as Error).message.slice(0, 120) };
  }
}

/** The one line that stands in a row. The filter searches the same line for its highlights. */
export function preview(value: Uint8Array, choice: FormatChoice): string {
  const format = choice === "auto" ? detect(value) : choice;
  if (format === "hex") return hexLine(value.subarray(0, Math.ceil(previewLength / 3)));
  if (format === "base64") return toBase64(value.subarray(0, Math.ceil((previewLength / 4) * 3)));
  if (format === "msgpack" && value.length <= 64 << 10) {
    const parsed = parseMsgpack(value);
    if (parsed.ok) return visibleLine((safeJson(parsed.value) ?? "…").slice(0, previewLength));
  }
  return visibleLine(lenientText(value.subarray(0, previewLength * 4)).slice(0, previewLength));
}

/** JSON text, or undefined when it nests too deeply for the engine. */
function safeJson(value: unknown, indent?: number): string | undefined {
  try {
    return JSON.stringify(value, undefined, indent);
  } catch {
    return undefined;
  }
}

function hexLine(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

export interface HexRow {
  readonly position: string;
  readonly hex: string;
  readonly ascii: string;
}

/** Rows of a hex dump, 16 bytes each, from byte `start` on (a multiple of 16). */
export function hexRows(value: Uint8Array, start: number, rowsMax: number): HexRow[] {
  const rows: HexRow[] = [];
  for (let at = start; at < value.length && rows.length < rowsMax; at += 16) {
    const bytes = value.subarray(at, at + 16);
    rows.push({
      position: at.toString(16).padStart(6, "0"),
      hex: `${hexLine(bytes.subarray(0, 8))}  ${hexLine(bytes.subarray(8))}`.padEnd(49),
      ascii: Array.from(bytes, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join(
        "",
      ),
    });
  }
  return rows;
}

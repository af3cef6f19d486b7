/** The content types of streams: how messages are divided, and how events carry them. Pure. */
import { Fault } from "../../../fault.ts";
import type { LogInfo } from "../../../types.ts";
import { mediaTypeOf } from "../../methods/logs/media-type.ts";
import { bytesType } from "../logs/value-headers.ts";

/**
 * json    a record is one JSON value; a read returns an array of them
 * text    a record is bytes; events carry them as text
 * bytes   a record is bytes; events carry them in base64
 */
export type StreamForm = "json" | "text" | "bytes";

/** The content type of a stream. A log without one has bytes. */
export const typeOfStream = ({ settings }: Pick<LogInfo, "settings">): string =>
  settings.contentType !== undefined && mediaTypeOf(settings.contentType) !== undefined
    ? settings.contentType
    : bytesType;

export function formOf(contentType: string): StreamForm {
  const type = mediaTypeOf(contentType) ?? bytesType;
  if (type === "application/json") return "json";
  return type.startsWith("text/") ? "text" : "bytes";
}

/** Two types are the same if they differ in case and parameters only. */
export const isSameType = (one: string, other: string): boolean => mediaTypeOf(one) === mediaTypeOf(other);

/** @throws Fault "bad-request" for a text that is no media type */
export function checkedContentType(text: string): string {
  if (mediaTypeOf(text) !== undefined) return text;
  throw new Fault("bad-request", {
    message: `Content-Type must be a media type such as application/json, not "${text.slice(0, 100)}"`,
    facts: { field: "Content-Type" },
  });
}

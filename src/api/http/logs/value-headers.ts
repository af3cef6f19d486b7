/**
 * The headers of a value that is sent as it is, with the media type of its log. Anyone who may append writes the value, and the
 * dashboard has the same origin, so a browser must not run it: a document is sandboxed, and what is not known to be passive is
 * a download. Other sites cannot embed it.
 */
import { mediaTypeOf } from "../../methods/logs/media-type.ts";
import type { ResponseHeaders } from "../exchange/exchange.ts";

export const bytesType = "application/octet-stream";

/** Types without scripts, and groups of them, that a browser may show. Not image/svg+xml, which is in none. */
const passive: readonly string[] = [
  "text/plain",
  "text/csv",
  "application/json",
  "application/x-ndjson",
  "image/png",
  "image/jpeg",
  "image/gif",
  "image/webp",
  "image/avif",
];
const passiveGroups = /^(audio|video)\//;

/** `contentType` is that of the log. It is ignored if it is not a media type. */
export function valueHeaders(contentType: string | undefined): ResponseHeaders {
  const type = contentType === undefined ? undefined : mediaTypeOf(contentType);
  const isPassive = type !== undefined && (passive.includes(type) || passiveGroups.test(type));
  return {
    "content-type": contentType !== undefined && type !== undefined ? contentType : bytesType,
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    ...(isPassive ? {} : { "content-disposition": "attachment" }),
  };
}

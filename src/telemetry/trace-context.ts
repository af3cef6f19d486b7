/**
 * Parses and formats the `traceparent` header of W3C Trace Context. An invalid header counts as absent, and the known
 * fields of a later version are read (section 3.2).
 *
 *   traceparent := version "-" trace-id(32 hex) "-" parent-id(16 hex) "-" flags(2 hex)
 */

export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  /** Bit 0: sampled. */
  readonly traceFlags: number;
}

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const tracestateCharsMax = 512;

/** Returns undefined for an absent or invalid header. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  if (text === undefined) return undefined;
  const [, version, traceId = "", spanId = "", flags = "", more] = pattern.exec(text) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 0x01 };
}

export const formatTraceparent = ({ traceId, spanId, traceFlags }: TraceContext): string =>
  `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, "0")}`;

/** Returns the tracestate if it may be passed on, otherwise undefined. */
export const checkedTracestate = (text: string | undefined): string | undefined =>
  text !== undefined && text.length <= tracestateCharsMax && /^[\x20-\x7e]*$/.test(text) ? text : undefined;

/** The time limits of HTTP, the same for both versions. */
import { defaultH2Limits, type H2Limits } from "../../http2/mod.ts";

export type HttpLimits = H2Limits["times"];

export const defaultHttpLimits: HttpLimits = defaultH2Limits.times;

/** Learns whether a connection has requests. */
export interface Activity {
  busy(): void;
  idle(): void;
}

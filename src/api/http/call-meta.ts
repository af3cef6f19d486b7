/** What the headers of a plain HTTP request say about its call. */
import type { CallMeta } from "../calls/call-tracker.ts";
import { traceRecordHeader } from "../calls/request-headers.ts";
import { type Exchange, headerOf } from "./exchange/exchange.ts";

/** Returns trace, request id and the wish to trace records, for CallTracker.beginCall(). */
export function callMetaOf(exchange: Exchange): CallMeta {
  return {
    protocol: "http",
    traceparent: headerOf(exchange, "traceparent"),
    tracestate: headerOf(exchange, "tracestate"),
    requestId: headerOf(exchange, "x-request-id"),
    traceRecords: headerOf(exchange, traceRecordHeader) === "yes",
  };
}

/**
 * The express lane: serves the calls that carry records straight off the HTTP/2 stream. It answers false for
 * whatever it does not take; Connect's handlers on the same listener mean the same and are the reference.
 *
 * Never: differs from the reference in what a client can tell, but for speed, compression and when headers go out.
 */
import type { IncomingHttpHeaders } from "node:http2";
import type { Tracer } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { RecordLimits } from "../../log/mod.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { CommitLog } from "../../types.ts";
import {
  type Call,
  type CallTracker,
  type ClientConnection,
  traceRecordHeader,
} from "../calls/call-tracker.ts";
import { logPermissions, type MethodPermission } from "../calls/method-permissions.ts";
import type { Traffic } from "../calls/traffic.ts";
import { forwardHeader } from "../connect/log-service.ts";
import type { StreamBudget } from "../methods/stream-budget.ts";
import { Answer } from "./answer.ts";
import { RoomLender } from "./buffer-pool.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { consume } from "./consume.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { consumeBatches, consumeStream } from "./consume-stream.ts";
import { ExpressCall } from "./fast-call.ts";
import type { LaneStream } from "./fast-stream.ts";
import { Pacer } from "./pacer.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { produce, produceBatch } from "./produce.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { produceBulk } from "./produce-bulk.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { produceStream } from "./produce-stream.ts";
import { type ExpressRequest, type MethodShape, recognise } from "./recognize.ts";

export interface LaneOptions {
  readonly log: CommitLog;
  readonly calls: CallTracker;
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly tracer: Tracer;
  readonly recordLimits: RecordLimits;
  readonly requestBytesMax: number;
  readonly held: MemoryBudget;
  readonly budget: StreamBudget;
  readonly heartbeatMs: number;
}

/** setTimeout's most; who asks for longer is Connect's. */
const timeoutMsMax = 2 ** 31 - 1;

/** What every method of the lane works with. */
export interface Lane extends LaneOptions {
  readonly pacer: Pacer;
  readonly rooms: RoomLender;
}

/** Serves one call that has begun. `forward` is false when the caller asked not to be forwarded. */
export type Serve = (lane: Lane, express: ExpressCall, forward: boolean) => void;

interface Method {
  readonly permission: MethodPermission;
  readonly shape: MethodShape;
  readonly serve: Serve;
}

const unary: MethodShape = { requestStream: false, responseStream: false };
const clientStream: MethodShape = { requestStream: true, responseStream: false };
const serverStream: MethodShape = { requestStream: false, responseStream: true };
const bothStreams: MethodShape = { requestStream: true, responseStream: true };

const methods = new Map<string, Method>(
  [
    { permission: logPermissions.produce, shape: unary, serve: produce },
    { permission: logPermissions.produceBatch, shape: unary, serve: produceBatch },
    { permission: logPermissions.produceStream, shape: bothStreams, serve: produceStream },
    { permission: logPermissions.produceBulk, shape: clientStream, serve: produceBulk },
    { permission: logPermissions.consume, shape: unary, serve: consume },
    { permission: logPermissions.consumeStream, shape: serverStream, serve: consumeStream },
    { permission: logPermissions.consumeBatches, shape: serverStream, serve: consumeBatches },
  ].map((method) => [`/${method.permission.name}`, method]),
);

/** Takes a stream, or answers false and leaves it untouched. */
export type ExpressLane = (
  stream: LaneStream,
  headers: IncomingHttpHeaders,
  caller: ClientConnection,
) => boolean;

export function expressLane(options: LaneOptions): ExpressLane {
  const lane: Lane = { ...options, pacer: new Pacer(options.clock), rooms: new RoomLender() };
  return (stream, headers, caller) => {
    const method = methods.get(headers[":path"] ?? "");
    if (method === undefined) return false;
    const request = recognise(headers, method.shape, timeoutMsMax);
    if (request === undefined) return false;
    const express = begin(lane, method.permission, stream, headers, caller, request);
    if (express !== undefined) method.serve(lane, express, headers[forwardHeader] !== "no");
    return true;
  };
}

/** Begins the call, or answers it with why not. */
function begin(
  lane: Lane,
  permission: MethodPermission,
  stream: LaneStream,
  headers: IncomingHttpHeaders,
  caller: ClientConnection,
  request: ExpressRequest,
): ExpressCall | undefined {
  const { timeoutMs } = request;
  let call: Call;
  try {
    call = lane.calls.beginCall(permission, caller, {
      protocol: request.protocol,
      deadlineMs: timeoutMs === undefined ? undefined : lane.clock.monotonicMs() + timeoutMs,
      traceparent: single(headers["traceparent"]),
      tracestate: single(headers["tracestate"]),
      requestId: single(headers["x-request-id"]),
      traceRecords: headers[traceRecordHeader] === "yes",
    });
  } catch (reason) {
    new Answer(stream, request).fail(reason);
    return undefined;
  }
  const deadline =
    timeoutMs === undefined ? undefined : (expire: () => void) => lane.clock.after(timeoutMs, expire);
  return new ExpressCall(stream, request, call, lane.calls, lane.held, deadline);
}

const single = (value: string | string[] | undefined): string | undefined =>
  typeof value === "string" ? value : undefined;

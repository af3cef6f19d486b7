/**
 * Encodes and decodes Serf's messages, which are the bodies of memberlist's user messages: one type byte and one msgpack
 * map.
 *
 *   leave 0 · join 1 · pushPull 2 · userEvent 3 · query 4 · queryResponse 5 · conflictResponse 6 · (keys 7, 8 · relay 9)
 *
 * Types in parentheses are not implemented and decode as "other".
 */
import { addressBytes, addressText, type Endpoint } from "../codec/address.ts";
import { readNodeName } from "../codec/messages.ts";
import { type Fields, MsgpackReader, malformed, nanosecondsMax } from "../codec/msgpack-reader.ts";
import { MsgpackWriter } from "../codec/msgpack-writer.ts";
import { decodeFilters, encodeFilter, type QueryFilter } from "./query-filter.ts";

export const serfType = {
  leave: 0,
  join: 1,
  pushPull: 2,
  userEvent: 3,
  query: 4,
  queryResponse: 5,
  conflictResponse: 6,
} as const;

/** Serf's limits, in bytes. */
export const userEventBytesMax = 512;
export const queryBytesMax = 1024;

/** A member announces that it joins or leaves. The Lamport time orders the two. */
export interface Intent {
  readonly kind: "leave" | "join";
  readonly lTime: number;
  readonly node: string;
  /** Delete the member at once instead of keeping it as left. */
  readonly prune: boolean;
}

export interface UserEvent {
  readonly kind: "user-event";
  readonly lTime: number;
  readonly name: string;
  readonly payload: Buffer;
  /** Only the newest of several events of this name needs to be delivered. */
  readonly coalesce: boolean;
}

export interface QueryMessage {
  readonly kind: "query";
  readonly lTime: number;
  readonly id: number;
  readonly at: Endpoint;
  readonly from: string;
  readonly filters: readonly QueryFilter[];
  readonly requestsAck: boolean;
  /** Do not pass the query on. */
  readonly noBroadcast: boolean;
  readonly timeoutMs: number;
  readonly name: string;
  readonly payload: Buffer;
}

export interface QueryResponseMessage {
  readonly kind: "query-response";
  readonly lTime: number;
  readonly id: number;
  readonly from: string;
  /** An acknowledgment of receipt, without a payload. */
  readonly ack: boolean;
  readonly payload: Buffer;
}

export type SerfMessage =
  | Intent
  | UserEvent
  | QueryMessage
  | QueryResponseMessage
  | { readonly kind: "other"; readonly type: number };

/** Messages with larger Lamport times are malformed. No cluster counts that far. */
export const lamportMax = 2 ** 48;
/** Largest time that a clock starts from. No honest cluster comes near it, and half of the range is left above it. */
export const lamportPlausibleMax = lamportMax / 2;

/** @throws Fault "bad-request" */
export function decodeSerfMessage(bytes: Buffer): SerfMessage {
  const type = bytes[0];
  if (type === undefined) throw malformed("it is empty");
  if (type > serfType.queryResponse || type === serfType.pushPull) return { kind: "other", type };
  const fields = new MsgpackReader(bytes, 1).fields();
  const lTime = fields.uint("LTime", lamportMax);
  switch (type) {
    case serfType.leave:
    case serfType.join:
      return {
        kind: type === serfType.leave ? "leave" : "join",
        lTime,
        node: readNodeName(fields, "Node"),
        prune: fields.bool("Prune"),
      };
    case serfType.userEvent:
      return {
        kind: "user-event",
        lTime,
        name: fields.text("Name", userEventBytesMax),
        payload: fields.raw("Payload", userEventBytesMax * 8),
        coalesce: fields.bool("CC"),
      };
    case serfType.query:
      return decodeQuery(fields, lTime);
    default:
      return {
        kind: "query-response",
        lTime,
        id: fields.uint("ID", 0xffff_ffff),
        from: readNodeName(fields, "From"),
        ack: (fields.uint("Flags") & 1) === 1,
        payload: fields.raw("Payload", queryBytesMax * 8),
      };
  }
}

function decodeQuery(fields: Fields, lTime: number): QueryMessage {
  const host = addressText(fields.raw("Addr", 16));
  const flags = fields.uint("Flags");
  const port = fields.uint("Port", 65_535);
  if (host === undefined || port === 0) throw malformed("a query has no valid address for responses");
  return {
    kind: "query",
    lTime,
    id: fields.uint("ID", 0xffff_ffff),
    at: { host, port },
    from: fields.text("SourceNode"),
    filters: decodeFilters(fields.list("Filters")),
    requestsAck: (flags & 1) === 1,
    noBroadcast: (flags & 2) === 2,
    timeoutMs: fields.uint("Timeout", nanosecondsMax) / 1e6,
    name: fields.text("Name", queryBytesMax),
    payload: fields.raw("Payload", queryBytesMax * 8),
  };
}

export function encodeIntent(intent: Intent): Buffer {
  const leave = intent.kind === "leave";
  const writer = new MsgpackWriter().byte(serfType[intent.kind]).map(leave ? 3 : 2);
  writer.text("LTime").uint(intent.lTime).text("Node").text(intent.node);
  if (leave) writer.text("Prune").bool(intent.prune);
  return writer.finish();
}

export function encodeUserEvent(event: UserEvent): Buffer {
  const writer = new MsgpackWriter().byte(serfType.userEvent).map(4);
  writer.text("CC").bool(event.coalesce).text("LTime").uint(event.lTime);
  return writer.text("Name").text(event.name).text("Payload").raw(event.payload).finish();
}

export function encodeQuery(query: QueryMessage): Buffer {
  const writer = new MsgpackWriter().byte(serfType.query).map(11);
  writer.text("Addr").raw(addressBytes(query.at.host)).text("Filters").array(query.filters.length);
  for (const filter of query.filters) writer.raw(encodeFilter(filter));
  const flags = (query.requestsAck ? 1 : 0) | (query.noBroadcast ? 2 : 0);
  writer.text("Flags").uint(flags).text("ID").uint(query.id).text("LTime").uint(query.lTime);
  writer.text("Name").text(query.name).text("Payload").raw(query.payload);
  writer.text("Port").uint(query.at.port).text("RelayFactor").uint(0);
  writer.text("SourceNode").text(query.from);
  return writer
    .text("Timeout")
    .uint(Math.round(query.timeoutMs * 1e6))
    .finish();
}

export function encodeQueryResponse(response: QueryResponseMessage): Buffer {
  const writer = new MsgpackWriter().byte(serfType.queryResponse).map(5);
  writer
    .text("Flags")
    .uint(response.ack ? 1 : 0)
    .text("From")
    .text(response.from);
  writer.text("ID").uint(response.id).text("LTime").uint(response.lTime);
  return writer.text("Payload").raw(response.payload).finish();
}

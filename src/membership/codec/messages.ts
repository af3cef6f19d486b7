/**
 * Encodes and decodes memberlist's messages: one type byte and one msgpack map. The keys are Go's field names, in
 * alphabetical order.
 *
 *   ping 0 · indirectPing 1 · ackResp 2 · suspect 3 · alive 4 · dead 5 · pushPull 6 · compound 7 · user 8 ·
 *   compress 9 · encrypt 10 · nackResp 11 · hasCrc 12 · err 13 · label 244
 *
 * The layers around a message are in packet.ts and stream.ts.
 */
import { addressBytes, addressText, type Endpoint } from "./address.ts";
import { type Fields, MsgpackReader, malformed } from "./msgpack-reader.ts";
import { MsgpackWriter } from "./msgpack-writer.ts";

export const messageType = {
  ping: 0,
  indirectPing: 1,
  ackResp: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nackResp: 11,
  hasCrc: 12,
  err: 13,
  label: 244,
} as const;

/** Maximum size of a member's Meta, in bytes. A Serf agent's tags must fit. */
export const metaBytesMax = 512;
/** The versions of this implementation in memberlist's six bytes: memberlist 1 to 5 (in use 2), Serf 2 to 5 (in use 5). */
export const protocolVersions: Buffer = Buffer.from([1, 5, 2, 2, 5, 5]);

/** The sender of a ping. The reply goes to this address, not to the packet's source address. */
export interface Sender extends Endpoint {
  readonly name: string;
}

export interface Ping {
  readonly kind: "ping";
  readonly seqNo: number;
  /** Name of the member that is pinged. Empty: any member. */
  readonly node: string;
  readonly source: Sender | undefined;
}

export interface IndirectPing {
  readonly kind: "indirect-ping";
  readonly seqNo: number;
  readonly target: Endpoint;
  readonly node: string;
  /** The sender requests a nackResp if the target does not answer. */
  readonly nack: boolean;
  readonly source: Sender | undefined;
}

export interface Ack {
  readonly kind: "ack" | "nack";
  readonly seqNo: number;
}

/** A suspect or dead message about `node`. A dead message with `from` equal to `node` means that the member leaves. */
export interface SuspectOrDead {
  readonly kind: "suspect" | "dead";
  readonly incarnation: number;
  readonly node: string;
  readonly from: string;
}

export interface Alive {
  readonly kind: "alive";
  readonly incarnation: number;
  readonly node: string;
  readonly at: Endpoint;
  readonly meta: Buffer;
  /** pmin, pmax, pcur, dmin, dmax, dcur. Empty from very old members. */
  readonly versions: Buffer;
}

export interface UserMessage {
  readonly kind: "user";
  readonly body: Buffer;
}

export type GossipMessage = Ping | IndirectPing | Ack | SuspectOrDead | Alive | UserMessage;

const u32Max = 0xffff_ffff;
const portMax = 65_535;

/**
 * Decodes one message of a packet.
 * @throws Fault "bad-request"
 */
export function decodeMessage(bytes: Buffer): GossipMessage {
  const type = bytes[0];
  if (type === messageType.user) return { kind: "user", body: bytes.subarray(1) };
  const read = (): Fields => new MsgpackReader(bytes, 1).fields();
  switch (type) {
    case messageType.ping: {
      const fields = read();
      return {
        kind: "ping",
        seqNo: fields.uint("SeqNo", u32Max),
        node: fields.text("Node"),
        source: source(fields),
      };
    }
    case messageType.indirectPing: {
      const fields = read();
      return {
        kind: "indirect-ping",
        seqNo: fields.uint("SeqNo", u32Max),
        target: readEndpoint(fields, "Target"),
        node: fields.text("Node"),
        nack: fields.bool("Nack"),
        source: source(fields),
      };
    }
    case messageType.ackResp:
    case messageType.nackResp:
      return {
        kind: type === messageType.ackResp ? "ack" : "nack",
        seqNo: read().uint("SeqNo", u32Max),
      };
    case messageType.suspect:
    case messageType.dead: {
      const fields = read();
      return {
        kind: type === messageType.suspect ? "suspect" : "dead",
        incarnation: fields.uint("Incarnation", u32Max),
        node: readNodeName(fields, "Node"),
        from: fields.text("From"),
      };
    }
    case messageType.alive:
      return decodeAlive(read());
    default:
      throw malformed("its type is unknown");
  }
}

function decodeAlive(fields: Fields): Alive {
  return {
    kind: "alive",
    incarnation: fields.uint("Incarnation", u32Max),
    node: readNodeName(fields, "Node"),
    at: readEndpoint(fields, "Addr"),
    meta: fields.raw("Meta", metaBytesMax),
    versions: readVersions(fields),
  };
}

/** Reads the version bytes of an alive message or a push/pull entry: six, or none. */
export function readVersions(fields: Fields): Buffer {
  const versions = fields.raw("Vsn", 6);
  if (versions.length !== 0 && versions.length !== 6) throw malformed("Vsn is not six bytes");
  return versions;
}

/** Reads a member's name. It is not empty and has no control characters, which could forge lines in files and logs. */
export function readNodeName(fields: Fields, key: string): string {
  const name = fields.text(key);
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)) throw malformed(`${key} has control characters`);
  if (name === "") throw malformed(`${key} is empty`);
  return name;
}

/** Reads the address in the field `key` and the port in the field `Port`. */
export function readEndpoint(fields: Fields, key: string): Endpoint {
  const host = addressText(fields.raw(key, 16));
  const port = fields.uint("Port", portMax);
  if (host === undefined || port === 0) throw malformed("it has no valid address");
  return { host, port };
}

function source(fields: Fields): Sender | undefined {
  const host = addressText(fields.raw("SourceAddr", 16));
  const port = fields.uint("SourcePort", portMax);
  return host === undefined || port === 0 ? undefined : { host, port, name: fields.text("SourceNode") };
}

export function encodePing(seqNo: number, node: string, from: Sender): Buffer {
  const writer = new MsgpackWriter().byte(messageType.ping).map(5);
  writer.text("Node").text(node).text("SeqNo").uint(seqNo);
  return writeSource(writer, from).finish();
}

export function encodeIndirectPing(seqNo: number, node: string, target: Endpoint, from: Sender): Buffer {
  const writer = new MsgpackWriter().byte(messageType.indirectPing).map(8);
  writer.text("Nack").bool(true).text("Node").text(node).text("Port").uint(target.port);
  writer.text("SeqNo").uint(seqNo);
  return writeSource(writer, from).text("Target").raw(addressBytes(target.host)).finish();
}

function writeSource(writer: MsgpackWriter, from: Sender): MsgpackWriter {
  writer.text("SourceAddr").raw(addressBytes(from.host)).text("SourceNode").text(from.name);
  return writer.text("SourcePort").uint(from.port);
}

export function encodeAck(kind: "ack" | "nack", seqNo: number): Buffer {
  const writer = new MsgpackWriter().byte(kind === "ack" ? messageType.ackResp : messageType.nackResp);
  if (kind === "ack") return writer.map(2).text("Payload").nil().text("SeqNo").uint(seqNo).finish();
  return writer.map(1).text("SeqNo").uint(seqNo).finish();
}

export function encodeSuspectOrDead(accusation: SuspectOrDead): Buffer {
  const writer = new MsgpackWriter().byte(messageType[accusation.kind]).map(3);
  writer.text("From").text(accusation.from).text("Incarnation").uint(accusation.incarnation);
  return writer.text("Node").text(accusation.node).finish();
}

export function encodeAlive(alive: Omit<Alive, "kind">): Buffer {
  const writer = new MsgpackWriter().byte(messageType.alive).map(6);
  writer.text("Addr").raw(addressBytes(alive.at.host)).text("Incarnation").uint(alive.incarnation);
  writer.text("Meta").raw(alive.meta).text("Node").text(alive.node).text("Port").uint(alive.at.port);
  return writer.text("Vsn").raw(alive.versions).finish();
}

export function encodeUserMessage(body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([messageType.user]), body]);
}

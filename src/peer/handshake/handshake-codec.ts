/**
 * Encodes and decodes the frames of the handshake. Pure.
 *
 *   hello, welcome := {protocol group lane hello}     lane: control, bulk, or visit for a probe
 *   refusal        := {reason message}
 */
import { fieldsOf } from "../../lib/fields.ts";
import { claimOf, isWhole, pack, unpackChecked } from "../../replication/mod.ts";
import { type EncodedPeerFrame, encodePeerFrame, malformed, type PeerFrame } from "../wire/peer-frame.ts";
import {
  type ConnectionPurpose,
  defaultGroup,
  type Introduction,
  type PeerHello,
  peerProtocol,
} from "./introduction.ts";
import { type Refusal, refusalReasonOf } from "./refusal.ts";

const textCharsMax = 255;
const messageCharsMax = 1024;

export function encodeIntroduction(
  kind: "hello" | "welcome",
  purpose: ConnectionPurpose,
  hello: PeerHello,
): EncodedPeerFrame {
  const lane = purpose === "probe" ? "visit" : purpose;
  return encodePeerFrame(kind, pack({ protocol: peerProtocol, group: defaultGroup, lane, hello }));
}

/** @throws Fault "bad-request" if the frame is not a valid introduction */
export function decodeIntroduction({ head }: PeerFrame): Introduction {
  const { protocol, group, lane, hello } = fieldsOf(unpackChecked(head).value);
  const purpose = purposeOf(lane);
  if (typeof protocol !== "number" || !isText(group) || purpose === undefined) throw malformed("head");
  return { protocol, group, purpose, hello: decodeHello(hello) };
}

function decodeHello(value: unknown): PeerHello {
  const { name, directory, clusterId, configured, version, address, wallMs, boot, level, levelOfLog } =
    fieldsOf(value);
  const claim = boot === undefined ? undefined : claimOf(boot);
  if (
    !isText(name) ||
    !isText(directory) ||
    !/^[0-9a-f]{32}$/.test(directory) ||
    !(clusterId === undefined || isText(clusterId)) ||
    typeof configured !== "boolean" ||
    !isText(version) ||
    !isText(address) ||
    typeof wallMs !== "number" ||
    !Number.isFinite(wallMs) ||
    (boot !== undefined && claim === undefined) ||
    !isLevel(level) ||
    !isLevel(levelOfLog)
  ) {
    throw malformed("head");
  }
  return {
    ...{ name, directory, clusterId, configured, version, address, wallMs },
    ...(claim === undefined ? {} : { boot: claim }),
    ...(level === undefined ? {} : { level }),
    ...(levelOfLog === undefined ? {} : { levelOfLog }),
  };
}

export function encodeRefusal({ reason, message }: Refusal): EncodedPeerFrame {
  return encodePeerFrame("refusal", pack({ reason, message: message.slice(0, messageCharsMax) }));
}

/** @throws Fault "bad-request" if the frame is not a valid refusal */
export function decodeRefusal({ head }: PeerFrame): Refusal {
  const { reason, message } = fieldsOf(unpackChecked(head).value);
  if (typeof reason !== "string" || typeof message !== "string") throw malformed("head");
  return { reason: refusalReasonOf(reason), message };
}

function purposeOf(lane: unknown): ConnectionPurpose | undefined {
  if (lane === "visit") return "probe";
  return lane === "control" || lane === "bulk" ? lane : undefined;
}

const isLevel = (value: unknown): value is number | undefined =>
  value === undefined || (isWhole(value) && value <= 0xffff_ffff);

const isText = (value: unknown): value is string =>
  typeof value === "string" && value.length > 0 && value.length <= textCharsMax;

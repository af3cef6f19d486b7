/**
 * Encodes and decodes push/pull, the full exchange of state on a stream in both directions, and decodes the error that
 * a peer may send instead:
 *
 *   pushPull := 06  {Join, Nodes, UserStateLen}  Nodes × {Addr, Incarnation, Meta, Name, Port, State, Vsn}  user state
 *   err      := 0d  {Error}
 */
import { addressBytes, type Endpoint } from "./address.ts";
import { messageType, metaBytesMax, readEndpoint, readNodeName, readVersions } from "./messages.ts";
import { MsgpackReader, malformed } from "./msgpack-reader.ts";
import { MsgpackWriter } from "./msgpack-writer.ts";

/** SWIM's state of a member. */
export type NodeState = "alive" | "suspect" | "dead" | "left";
/** In the order of the numbers on the wire. */
const states: readonly NodeState[] = ["alive", "suspect", "dead", "left"];

export interface PushPullNode {
  readonly name: string;
  readonly at: Endpoint;
  readonly meta: Buffer;
  readonly incarnation: number;
  readonly state: NodeState;
  readonly versions: Buffer;
}

export interface PushPull {
  readonly join: boolean;
  readonly nodes: readonly PushPullNode[];
  /** Serf's part of the state. Empty if there is none. */
  readonly userState: Buffer;
}

export function encodePushPull(state: PushPull): Buffer {
  const writer = new MsgpackWriter().byte(messageType.pushPull).map(3);
  writer.text("Join").bool(state.join).text("Nodes").uint(state.nodes.length);
  writer.text("UserStateLen").uint(state.userState.length);
  for (const node of state.nodes) {
    writer.map(7).text("Addr").raw(addressBytes(node.at.host)).text("Incarnation").uint(node.incarnation);
    writer.text("Meta").raw(node.meta).text("Name").text(node.name).text("Port").uint(node.at.port);
    writer.text("State").uint(states.indexOf(node.state)).text("Vsn").raw(node.versions);
  }
  return writer.append(state.userState).finish();
}

/**
 * Decodes a complete push/pull message, type byte included, with at most `nodesMax` members.
 * @throws Fault "bad-request"
 */
export function decodePushPull(bytes: Buffer, nodesMax: number): PushPull {
  if (bytes[0] !== messageType.pushPull) throw malformed("it is not a push/pull");
  const reader = new MsgpackReader(bytes, 1);
  const header = reader.fields();
  const count = header.uint("Nodes", nodesMax);
  const nodes: PushPullNode[] = [];
  for (let read = 0; read < count; read++) {
    const fields = reader.fields();
    nodes.push({
      name: readNodeName(fields, "Name"),
      at: readEndpoint(fields, "Addr"),
      meta: fields.raw("Meta", metaBytesMax),
      incarnation: fields.uint("Incarnation", 0xffff_ffff),
      state: states[fields.uint("State", states.length - 1)] as NodeState,
      versions: readVersions(fields),
    });
  }
  const userState = bytes.subarray(reader.position);
  if (userState.length < header.uint("UserStateLen")) throw malformed("its user state is truncated");
  return {
    join: header.bool("Join"),
    nodes,
    userState: userState.subarray(0, header.uint("UserStateLen")),
  };
}

/** Decodes an err message, type byte included. Returns at most 200 characters of its text. */
export function decodeError(bytes: Buffer): string {
  return new MsgpackReader(bytes, 1).fields().raw("Error", bytes.length).toString("utf8").slice(0, 200);
}

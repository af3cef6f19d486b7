/**
 * Encodes the response to Serf's internal query `_serf_conflict`: the member that this node knows by a name. A member
 * whose name is claimed twice asks all members, and gives up if the majority knows the other one.
 *
 *   06 {Addr, DelegateCur, DelegateMax, DelegateMin, Name, Port, ProtocolCur, ProtocolMax, ProtocolMin, Status, Tags}
 */
import { addressBytes, type Endpoint } from "../codec/address.ts";
import { MsgpackWriter } from "../codec/msgpack-writer.ts";
import { serfType } from "./serf-messages.ts";
import type { Tags } from "./tags.ts";

const statuses = { alive: 1, leaving: 2, left: 3, failed: 4 } as const;

export interface ConflictMember {
  readonly name: string;
  readonly at: Endpoint;
  readonly status: keyof typeof statuses;
  readonly tags: Tags;
  readonly versions: Buffer;
}

export function encodeConflictResponse(member: ConflictMember): Buffer {
  const [pmin = 1, pmax = 5, pcur = 2, dmin = 2, dmax = 5, dcur = 5] = member.versions;
  const writer = new MsgpackWriter().byte(serfType.conflictResponse).map(11);
  writer.text("Addr").raw(addressBytes(member.at.host)).text("DelegateCur").uint(dcur);
  writer.text("DelegateMax").uint(dmax).text("DelegateMin").uint(dmin).text("Name").text(member.name);
  writer.text("Port").uint(member.at.port).text("ProtocolCur").uint(pcur).text("ProtocolMax").uint(pmax);
  writer.text("ProtocolMin").uint(pmin).text("Status").uint(statuses[member.status]);
  const tags = Object.entries(member.tags);
  writer.text("Tags").map(tags.length);
  for (const [name, value] of tags) writer.text(name).text(value);
  return writer.finish();
}

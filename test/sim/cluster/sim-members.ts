/** Names, numbers and directory identities of the servers of a simulated cluster. */
import type { Member, PeerId } from "../raft.ts";

/** Returns the identity of a data directory whose server gets the number `peer`: its first six bytes plus one. */
export function directoryId(peer: PeerId): Uint8Array {
  const id = new Uint8Array(16).fill(7);
  for (let at = 0, rest = peer - 1; at < 6; at++) {
    id[5 - at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return id;
}

export const nameOf = (peer: PeerId): string => `n${peer}`;
export const peerNamed = (name: string): PeerId => Number(name.slice(1));

export const memberOf = (peer: PeerId): Member => ({
  peer,
  name: nameOf(peer),
  directory: Buffer.from(directoryId(peer)).toString("hex"),
  address: `${nameOf(peer)}:1`,
});

/** Introductions and members for tests of peers. */
import { type PeerHello, peerIdOfHello } from "../../../src/peer/handshake/introduction.ts";
import type { Member } from "../../../src/raft/mod.ts";

/** The introduction of a node. Its directory id is made of the name. */
export function helloOf(name: string, address: string, fields: Partial<PeerHello> = {}): PeerHello {
  return {
    name,
    directory: Buffer.from(name.padEnd(16, ".").slice(0, 16)).toString("hex"),
    clusterId: "c1",
    configured: true,
    version: "0.0.0-test",
    address,
    wallMs: Date.now(),
    level: 2,
    ...fields,
  };
}

export const memberOf = (hello: PeerHello): Member => ({
  peer: peerIdOfHello(hello),
  name: hello.name,
  directory: hello.directory,
  address: hello.address,
});

/** A node with a link to a fake peer, and entries to send over it. */
import { encodeRun } from "../../../src/client/mod.ts";
import { batchKind, encodeFrame } from "../../../src/log/mod.ts";
import { peerIdOfHello } from "../../../src/peer/handshake/introduction.ts";
import type { PeerNetworkOptions } from "../../../src/peer/mod.ts";
import type { Entry } from "../../../src/raft/mod.ts";
import { entryOf } from "../../../src/replication/storage/entries.ts";
import { FakePeer } from "./fake-peer.ts";
import { openPeer, type PeerNode, untilLinked } from "./peer-node.ts";

export interface PeerPair extends AsyncDisposable {
  readonly node: PeerNode;
  readonly peer: FakePeer;
  /** The Raft ids of the node and of the peer. */
  readonly from: number;
  readonly to: number;
}

/** Opens the node "a" and links it to the fake peer "b". */
export async function openPair(
  options: Partial<PeerNetworkOptions> = {},
  prepare?: (peer: FakePeer) => void,
): Promise<PeerPair> {
  const peer = await FakePeer.open("b");
  prepare?.(peer);
  const node = await openPeer("a", options);
  node.setMembers(peer.hello);
  await untilLinked(node);
  return {
    node,
    peer,
    from: peerIdOfHello(node.hello),
    to: peerIdOfHello(peer.hello),
    async [Symbol.asyncDispose]() {
      await node[Symbol.asyncDispose]();
      await peer[Symbol.asyncDispose]();
    },
  };
}

/** An entry whose record has `bytes` bytes. */
export function entryOfSize(index: number, bytes: number): Entry {
  const payload = encodeRun([{ value: new Uint8Array(bytes) }]).bytes;
  const header = { index, term: 1, baseOffset: 0, timestampMs: 1, recordCount: 1, kind: batchKind.data };
  return entryOf(encodeFrame(header, payload, 0));
}

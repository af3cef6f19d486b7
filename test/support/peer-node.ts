/**
 * A network of peers with a port of its own and, in place of a replica, something that notes what it is told.
 */
import type { Server, Socket } from "node:net";
import { prng } from "../../src/lib/prng.ts";
import { systemClock } from "../../src/lib/time/clock.ts";
import {
  type PeerHello,
  PeerNetwork,
  type PeerNetworkOptions,
  type PeerService,
} from "../../src/peer/mod.ts";
import type { PeerReplica } from "../../src/peer/peer-network.ts";
import { emptyConfState, type Message } from "../../src/raft/mod.ts";
import type { Appended, AppendOptions, RecordRun } from "../../src/types.ts";
import { helloOf, memberOf } from "./fake-peer.ts";
import { type LogLine, logLines } from "./log-lines.ts";
import { dialPlain, listen, portOf } from "./socket-cluster.ts";

/** What Raft would have been told. */
export interface Told {
  readonly messages: Message[];
  readonly unreachable: number[];
  readonly refused: number[];
  readonly snapshots: { readonly peer: number; readonly delivered: boolean }[];
}

export interface PeerNode extends AsyncDisposable {
  readonly network: PeerNetwork;
  readonly told: Told;
  readonly lines: LogLine[];
  readonly port: number;
  readonly address: string;
  hello: PeerHello;
  /** How often it was told that a member has moved. */
  moves: number;
  /** Why callers are refused, if so. */
  refuse: string | undefined;
  /** What becomes of an append that was forwarded to it. */
  append: (run: RecordRun, options: AppendOptions) => Promise<Appended>;
  /** Makes these the members, itself included. */
  know(...others: readonly PeerHello[]): void;
}

const nothing: PeerService = { ask: async () => null };

export async function openPeer(
  name: string,
  options: Partial<PeerNetworkOptions> = {},
  fields: Partial<PeerHello> = {},
): Promise<PeerNode> {
  const { log, lines } = logLines();
  const sockets = new Set<Socket>();
  const server: Server = await listen(0, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    network.accept(socket, () => node.refuse);
  });
  const address = `127.0.0.1:${portOf(server)}`;
  const told: Told = { messages: [], unreachable: [], refused: [], snapshots: [] };
  const network: PeerNetwork = new PeerNetwork({
    self: () => ({ ...node.hello, wallMs: (options.clock ?? systemClock).wallMs() }),
    dial: dialPlain,
    clock: systemClock,
    random: prng(name),
    logger: log,
    serve: nothing,
    ...options,
  });
  const replica: PeerReplica = {
    started: true,
    node: {
      receive: (message) => {
        told.messages.push(message);
        return undefined;
      },
      reportUnreachable: (peer) => told.unreachable.push(peer),
      connectionRefused: (peer) => told.refused.push(peer),
      reportSnapshot: (peer, delivered) => told.snapshots.push({ peer, delivered }),
    },
    log: {
      append: (run, given = {}) => node.append(run, given),
      trim: async (before) => before,
    },
  };
  network.attach(replica, () => node.moves++);
  const node: PeerNode = {
    network,
    told,
    lines,
    port: portOf(server),
    address,
    hello: helloOf(name, address, fields),
    moves: 0,
    refuse: undefined,
    append: async ({ count }) => ({ firstOffset: 0, count, timestampMs: 1, duplicate: false }),
    know(...others) {
      const members = [node.hello, ...others].map(memberOf);
      network.members({
        ...emptyConfState,
        voters: members.map(({ peer }) => peer),
        roster: { members, nextPeer: 1 },
      });
    },
    async [Symbol.asyncDispose]() {
      await network[Symbol.asyncDispose]();
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return node;
}

/** A peer network with its own port, and a replica that records the messages and events that it gets. */
import type { Server, Socket } from "node:net";
import { prng } from "../../../src/lib/prng.ts";
import { systemClock } from "../../../src/lib/time/clock.ts";
import {
  type PeerHello,
  PeerNetwork,
  type PeerNetworkOptions,
  type PeerService,
} from "../../../src/peer/mod.ts";
import type { PeerReplica } from "../../../src/peer/options.ts";
import { emptyConfState, type Message } from "../../../src/raft/mod.ts";
import type { Appended, AppendOptions, RecordRun } from "../../../src/types.ts";
import { type LogLine, logLines } from "../../support/log/log-lines.ts";
import { helloOf, memberOf } from "../../support/peer/peer-hello.ts";
import { dialPlain, listen, portOf } from "../../support/peer/socket-cluster.ts";
import { until } from "../../support/until.ts";

/** The messages and events that Raft would have got. */
export interface RaftEvents {
  readonly messages: Message[];
  readonly unreachable: number[];
  readonly connectionsRefused: number[];
  readonly snapshots: { readonly peer: number; readonly delivered: boolean }[];
}

export interface PeerNode extends AsyncDisposable {
  readonly network: PeerNetwork;
  readonly raft: RaftEvents;
  readonly lines: LogLine[];
  readonly port: number;
  readonly address: string;
  hello: PeerHello;
  /** How often `onMoved` was called. */
  moves: number;
  /** Why callers have no permission; undefined: they have it. */
  denied: string | undefined;
  /** Executes an append that was forwarded to this node. */
  append: (run: RecordRun, options: AppendOptions) => Promise<Appended>;
  /** Sets the configuration: these members and this node. */
  setMembers(...others: readonly PeerHello[]): void;
}

const emptyService: PeerService = { ask: async () => null };

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
    network.accept(socket, () => node.denied);
  });
  const address = `127.0.0.1:${portOf(server)}`;
  const raft: RaftEvents = { messages: [], unreachable: [], connectionsRefused: [], snapshots: [] };
  const network: PeerNetwork = new PeerNetwork({
    self: () => ({ ...node.hello, wallMs: (options.clock ?? systemClock).wallMs() }),
    dial: dialPlain,
    clock: systemClock,
    random: prng(name),
    logger: log,
    serve: emptyService,
    ...options,
  });
  const replica: PeerReplica = {
    started: true,
    node: {
      receive: (message) => {
        raft.messages.push(message);
        return undefined;
      },
      reportUnreachable: (peer) => raft.unreachable.push(peer),
      connectionRefused: (peer) => raft.connectionsRefused.push(peer),
      reportSnapshot: (peer, delivered) => raft.snapshots.push({ peer, delivered }),
    },
    log: {
      append: (run, given = {}) => node.append(run, given),
      trim: async (before) => before,
      named: { change: async () => ({ log: undefined, created: false }) },
    },
  };
  network.attach(replica, () => node.moves++);
  const node: PeerNode = {
    network,
    raft,
    lines,
    port: portOf(server),
    address,
    hello: helloOf(name, address, fields),
    moves: 0,
    denied: undefined,
    append: async ({ count }) => ({ firstOffset: 0, count, timestampMs: 1, duplicate: false }),
    setMembers(...others) {
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

/** Resolves when both channels to each other member are open. */
export const untilLinked = (node: PeerNode): Promise<boolean> =>
  until("the links are open", () => node.network.peers().every(({ connected }) => connected));

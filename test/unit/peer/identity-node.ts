/** A node that checks identities, with connections, clock and other members that the test controls. */
import assert from "node:assert/strict";
import { noLogger } from "../../../src/lib/telemetry.ts";
import { type PeerHello, peerIdOfHello } from "../../../src/peer/handshake/introduction.ts";
import { IdentityCheck } from "../../../src/peer/identity/identity-check.ts";
import type { BootConnection } from "../../../src/peer/identity/identity-context.ts";
import type { Member } from "../../../src/raft/mod.ts";
import {
  type BootClaim,
  nextBoot,
  type Position,
  type StoredBoot,
} from "../../../src/replication/identity/boot.ts";
import { BootRecords } from "../../../src/replication/identity/boot-records.ts";
import { StableState } from "../../../src/replication/storage/stable-state.ts";
import { SimStableStore } from "../../support/disk/sim-stable-store.ts";
import type { VirtualTime } from "../../support/time/virtual-clock.ts";

export const directoryOf = (name: string): string =>
  Buffer.from(name.padEnd(16, "·").slice(0, 16), "latin1").toString("hex");
export const nonce = (n: number): string => n.toString(16).padStart(16, "0");
export const position = (index: number, term = 1): Position => ({ term, index });

export function claimOf(boot: StoredBoot, start = position(0)): BootClaim {
  return { ...boot, start, lossy: false };
}

export function helloOf(name: string, boot: BootClaim | undefined): PeerHello {
  const rest = { name, directory: directoryOf(name), clusterId: "c", configured: true, version: "1" };
  return { ...rest, address: `${name}:1`, wallMs: 0, ...(boot === undefined ? {} : { boot }) };
}

export const members: readonly Member[] = ["a", "b", "c"].map((name) => {
  const directory = directoryOf(name);
  return { peer: peerIdOfHello({ directory }), name, directory, address: `${name}:1` };
});

/** The node "a" or "c". Its connections are those of the member "b". */
export class IdentityNode {
  readonly store = new SimStableStore();
  readonly connections: (BootConnection & { roundTrips: number; closed: boolean })[] = [];
  readonly asked: { address: string; body: unknown }[] = [];
  readonly progressResets: number[] = [];
  readonly identity: IdentityCheck;
  readonly boots: BootRecords;
  answer: (address: string, body: unknown) => unknown = () => ({});
  leader: Member | undefined;
  isLeader = false;
  promised: Position | undefined;

  constructor(name: string, time: VirtualTime, store?: SimStableStore) {
    if (store !== undefined) this.store = store;
    this.boots = new BootRecords(claimOf(nextBoot(undefined, nonce(0))), new StableState(this.store));
    this.boots.setMembers(members.map(({ directory }) => directory));
    const self = this;
    this.identity = new IdentityCheck({
      clock: time.clock(),
      logger: noLogger,
      silentMs: 3_500,
      roster: () => members,
      self: () => helloOf(name, undefined),
      connections: (directory) =>
        this.connections.filter((one) => !one.closed && directory === directoryOf("b")),
      ask: async (address, verb, body) => {
        assert.equal(verb, "seen");
        this.asked.push({ address, body });
        return this.answer(address, body);
      },
      replica: () => ({
        started: true,
        log: {
          append: async () => assert.fail(),
          trim: async () => assert.fail(),
          named: { change: async () => assert.fail() },
        },
        boots: this.boots,
        node: {
          receive() {},
          reportUnreachable() {},
          connectionRefused() {},
          reportSnapshot() {},
          forgetProgress: (peer: number) => this.progressResets.push(peer),
          promisedBy: () => self.promised,
          get leader() {
            return self.leader;
          },
          get isLeader() {
            return self.isLeader;
          },
        },
      }),
    });
  }

  connect(boot: BootClaim): BootConnection & { roundTrips: number; closed: boolean } {
    const connection = {
      boot,
      roundTrips: 0,
      closed: false,
      close() {
        connection.closed = true;
      },
    };
    this.connections.push(connection);
    return connection;
  }

  reason(boot: BootClaim): string | undefined {
    return this.identity.check(helloOf("b", boot))?.reason;
  }
}

/** Two boots of the member "b": the second follows the first. */
export const first = nextBoot(undefined, nonce(1));
export const second = nextBoot(first, nonce(2));

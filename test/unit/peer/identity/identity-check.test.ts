/** The decision on each handshake, with connections, clock and other members played by the test. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noLogger } from "../../../../src/lib/telemetry.ts";
import { type PeerHello, peerOfHello } from "../../../../src/peer/handshake/handshake.ts";
import { type BootConnection, IdentityCheck } from "../../../../src/peer/identity/identity-check.ts";
import { type Member, message } from "../../../../src/raft/mod.ts";
import {
  type BootClaim,
  nextBoot,
  type Position,
  type StoredBoot,
} from "../../../../src/replication/identity/boot.ts";
import { BootRecords } from "../../../../src/replication/identity/boot-records.ts";
import { StableState } from "../../../../src/replication/stable-state.ts";
import { SimStableStore } from "../../../support/sim-stable-store.ts";
import { VirtualTime } from "../../../support/virtual-clock.ts";

const directoryOf = (name: string): string =>
  Buffer.from(name.padEnd(16, "·").slice(0, 16), "latin1").toString("hex");
const nonce = (n: number): string => n.toString(16).padStart(16, "0");
const start = (index: number, term = 1): Position => ({ term, index });

function claimOf(boot: StoredBoot, position = start(0)): BootClaim {
  return { ...boot, start: position, lossy: false };
}

function helloOf(name: string, boot: BootClaim | undefined): PeerHello {
  const rest = { name, directory: directoryOf(name), clusterId: "c", configured: true, version: "1" };
  return { ...rest, address: `${name}:1`, wallMs: 0, ...(boot === undefined ? {} : { boot }) };
}

const members: readonly Member[] = ["a", "b", "c"].map((name) => {
  const directory = directoryOf(name);
  return { peer: peerOfHello({ directory }), name, directory, address: `${name}:1` };
});

class Node {
  readonly store = new SimStableStore();
  readonly holders: (BootConnection & { signs: number; closed: boolean })[] = [];
  readonly asked: { address: string; body: unknown }[] = [];
  readonly forgotten: number[] = [];
  readonly guard: IdentityCheck;
  readonly boots: BootRecords;
  answer: (address: string, body: unknown) => unknown = () => ({});
  leader: Member | undefined;
  isLeader = false;
  promised: Position | undefined;

  constructor(name: string, time: VirtualTime, store?: SimStableStore) {
    if (store !== undefined) this.store = store;
    this.boots = new BootRecords(claimOf(nextBoot(undefined, nonce(0))), new StableState(this.store));
    this.boots.members(members.map(({ directory }) => directory));
    const self = this;
    this.guard = new IdentityCheck({
      clock: time.clock(),
      logger: noLogger,
      silentMs: 3_500,
      roster: () => members,
      self: () => helloOf(name, undefined),
      holders: (directory) => this.holders.filter((one) => !one.closed && directory === directoryOf("b")),
      ask: async (address, verb, body) => {
        assert.equal(verb, "seen");
        this.asked.push({ address, body });
        return this.answer(address, body);
      },
      replica: () => ({
        started: true,
        log: { append: async () => assert.fail(), trim: async () => assert.fail() },
        boots: this.boots,
        node: {
          receive() {},
          reportUnreachable() {},
          connectionRefused() {},
          reportSnapshot() {},
          forgetProgress: (peer: number) => this.forgotten.push(peer),
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

  connect(boot: BootClaim): BootConnection & { signs: number; closed: boolean } {
    const made = {
      boot,
      signs: 0,
      closed: false,
      close() {
        made.closed = true;
      },
    };
    this.holders.push(made);
    return made;
  }

  reason(boot: BootClaim): string | undefined {
    return this.guard.claimed(helloOf("b", boot))?.reason;
  }
}

const first = nextBoot(undefined, nonce(1));
const second = nextBoot(first, nonce(2));

test("a new boot is stored before its node is let in, and a restarted process still knows it", () => {
  const time = new VirtualTime();
  const node = new Node("a", time);
  assert.equal(node.reason(claimOf(first)), undefined);
  assert.equal(node.reason(claimOf(second)), undefined);
  assert.equal(node.forgotten.length, 2, "nothing that an earlier boot has acknowledged counts any more");
  const restarted = new Node("a", time, node.store);
  assert.equal(restarted.reason(claimOf(first)), "rolled-back");
  const message = restarted.guard.claimed(helloOf("b", claimOf(first)))?.message ?? "";
  assert.match(message, /rolled back.*empty its data directory or run tailrace repair/);
});

test("a peer of an earlier version, that says no boot number, is let in", () => {
  const node = new Node("a", new VirtualTime());
  assert.equal(node.reason(claimOf(first)), undefined);
  assert.equal(node.guard.claimed(helloOf("b", undefined)), undefined);
});

test("an earlier version's claim to the directory of a member that answers is refused, not followed", () => {
  const time = new VirtualTime();
  const node = new Node("a", time);
  assert.equal(node.reason(claimOf(first)), undefined);
  const holder = node.connect(claimOf(first));
  const old = helloOf("b", undefined);
  assert.match(node.guard.doubts(old) ?? "", /still answers/);
  assert.equal(node.guard.claimed(old)?.reason, "in-use");
  holder.signs += 2;
  assert.equal(node.guard.claimed(old)?.reason, "copy");
  assert.equal(node.reason(claimOf(first)), undefined, "the member itself goes on");
  assert.equal(holder.closed, false);
  assert.equal(node.guard.claimed(old)?.reason, "in-use");
  time.now += 3_500;
  assert.equal(node.guard.claimed(old), undefined, "a silent one is replaced");
  assert.equal(holder.closed, true);
});

test("a member that comes back without what it acknowledged to this leader is refused, and counts for nothing", () => {
  const node = new Node("a", new VirtualTime());
  assert.equal(node.reason(claimOf(first)), undefined);
  node.isLeader = true;
  node.promised = { term: 3, index: 145 };
  assert.equal(node.reason(claimOf(second, start(144, 3))), "rolled-back");
  assert.equal(node.forgotten.at(-1), members[1]!.peer);
  assert.equal(node.reason(claimOf(second, start(144, 3))), "rolled-back", "the reason stays the same");
  assert.equal(
    node.reason(claimOf(nextBoot(second, nonce(3)), start(500, 9))),
    "copy",
    "nor does what follows from it",
  );
});

test("what a member has promised is stored when its connection ends, so that a later process of this node knows it", () => {
  const time = new VirtualTime();
  const node = new Node("a", time);
  assert.equal(node.reason(claimOf(first)), undefined);
  node.guard.heard(helloOf("b", claimOf(first)), { term: 2, index: 77 });
  node.guard.left(helloOf("b", claimOf(first)));
  node.guard.keep();
  const restarted = new Node("a", time, node.store);
  assert.equal(restarted.reason(claimOf(second, start(76, 2))), "rolled-back");
  assert.equal(restarted.reason(claimOf(nextBoot(first, nonce(7)), start(77, 2))), undefined);
});

test("what a member promises in a vote or an acknowledgment is known at once to the node that received it", () => {
  const at = { term: 4, index: 17 };
  const cases = [
    { sent: message("vote-response", 1, { term: 4 }), before: start(99, 3), after: start(0, 4) },
    { sent: message("vote", 1, at), before: start(99, 3), after: start(0, 4) },
    { sent: message("append-response", 1, at), before: start(16, 4), after: start(17, 4) },
  ];
  for (const { sent, before, after } of cases) {
    const node = new Node("a", new VirtualTime());
    assert.equal(node.reason(claimOf(first)), undefined);
    node.guard.received(helloOf("b", claimOf(first)), message("append-response", 1, { ...at, reject: true }));
    node.guard.received(helloOf("b", claimOf(first)), message("pre-vote-response", 1, at));
    assert.equal(node.guard.doubts(helloOf("b", claimOf(second, before))), undefined);
    node.guard.received(helloOf("b", claimOf(first)), sent);
    assert.match(node.guard.doubts(helloOf("b", claimOf(second, before))) ?? "", /rolled back/);
    assert.equal(node.reason(claimOf(second, after)), undefined);
  }
});

test("what a node that acknowledges before it is durable has promised is not held against it", () => {
  const node = new Node("a", new VirtualTime());
  const lossy = { ...claimOf(first), lossy: true };
  assert.equal(node.reason(lossy), undefined);
  node.guard.received(helloOf("b", lossy), message("append-response", 1, { term: 4, index: 17 }));
  assert.deepEqual(node.boots.seen(directoryOf("b"))?.promised, start(0));
});

test("a member that loses another tells all the rest what that had promised, and again once it is more", async () => {
  const time = new VirtualTime();
  const [judge, knower] = [new Node("a", time), new Node("c", time)];
  knower.answer = (_, body) => judge.guard.told(body, helloOf("c", undefined));
  assert.equal(knower.reason(claimOf(first)), undefined);
  const hello = helloOf("b", claimOf(first));
  for (const index of [12, 12, 17]) {
    knower.guard.received(hello, message("append-response", 1, { term: 2, index }));
    knower.guard.left(hello);
  }
  await new Promise(setImmediate);
  assert.deepEqual(
    knower.asked.map(({ address }) => address),
    ["a:1", "a:1"],
    "once for each that is news",
  );
  assert.equal(judge.reason(claimOf(second, start(16, 2))), "rolled-back", "it has never met it before");
});

test("a member that was cut off tells those it is linked to what it has seen of the others", async () => {
  const time = new VirtualTime();
  const [judge, knower] = [new Node("a", time), new Node("c", time)];
  knower.answer = (_, body) => judge.guard.told(body, helloOf("c", undefined));
  assert.equal(knower.reason(claimOf(first)), undefined);
  knower.guard.heard(helloOf("b", claimOf(first)), { term: 2, index: 109 });
  const rolledBack = claimOf(second, start(93, 2));
  assert.equal(judge.reason(rolledBack), undefined, "nobody has told it yet");
  const connection = judge.connect(rolledBack);
  knower.guard.met(directoryOf("a"), "a:1");
  await new Promise(setImmediate);
  assert.deepEqual(
    knower.asked.map(({ address }) => address),
    ["a:1"],
  );
  assert.equal(connection.closed, true);
  assert.equal(judge.reason(rolledBack), "rolled-back");
});

test("what another member tells is written once, however often it is told", () => {
  const node = new Node("a", new VirtualTime());
  let writes = 0;
  const write = node.store.write.bind(node.store);
  node.store.write = (changes) => {
    writes++;
    write(changes);
  };
  const { life, count, nonce } = first;
  const seen = { life, count, nonce, promised: start(50), copies: [] };
  const body = { directory: directoryOf("b"), refused: "", flaw: "left", seen };
  for (let times = 0; times < 3; times++) node.guard.told(body, helloOf("c", undefined));
  assert.equal(writes, 1);
});

test("a later boot that another member has seen ends no connection here, unless the leader says so", () => {
  const node = new Node("a", new VirtualTime());
  assert.equal(node.reason(claimOf(first)), undefined);
  const connection = node.connect(claimOf(first));
  const { life, count, nonce } = second;
  const seen = { life, count, nonce, promised: start(50), copies: [] };
  const body = { directory: directoryOf("b"), refused: "", flaw: "left", seen };
  const answer = node.guard.told(body, helloOf("c", undefined));
  assert.equal(connection.closed, false);
  assert.equal(answer.seen?.nonce, first.nonce);
  node.leader = members[2];
  node.guard.told(body, helloOf("c", undefined));
  assert.equal(connection.closed, true);
});

test("while a member answers, a second process with its directory is asked to wait, then refused as a copy", () => {
  const time = new VirtualTime();
  const node = new Node("a", time);
  assert.equal(node.reason(claimOf(first)), undefined);
  const member = node.connect(claimOf(first));
  assert.match(node.guard.doubts(helloOf("b", claimOf(second))) ?? "", /still answers/);
  assert.equal(node.reason(claimOf(second)), "in-use");
  member.signs++;
  time.now += 1_000;
  assert.equal(node.reason(claimOf(second)), "in-use", "one sign may have been on its way");
  member.signs++;
  time.now += 1_000;
  assert.equal(node.reason(claimOf(second)), "copy");
  assert.equal(member.closed, false);
  member.closed = true;
  assert.equal(node.reason(claimOf(second)), "copy", "also when the member is gone");
  assert.equal(node.reason(claimOf(nextBoot(first, nonce(5)))), undefined, "which may come back");
});

test("a member whose old connection is silent is let in again after a few seconds", () => {
  const time = new VirtualTime();
  const node = new Node("a", time);
  assert.equal(node.reason(claimOf(first)), undefined);
  const left = node.connect(claimOf(first));
  for (let ms = 0; ms < 3_500; ms += 500) {
    assert.equal(node.reason(claimOf(second)), "in-use");
    time.now += 500;
  }
  assert.equal(node.reason(claimOf(second)), undefined);
  assert.equal(left.closed, true);
});

test("a member that has let a copy in learns from the leader which of the two is the member", async () => {
  const time = new VirtualTime();
  const [leader, other] = [new Node("a", time), new Node("c", time)];
  leader.isLeader = true;
  other.leader = members[0];
  other.answer = (_, body) => leader.guard.told(body, helloOf("c", undefined));
  // The member is connected to the leader, the copy to the other one.
  assert.equal(leader.reason(claimOf(first)), undefined);
  leader.connect(claimOf(first));
  assert.equal(other.reason(claimOf(second)), undefined);
  const copy = other.connect(claimOf(second));
  assert.equal(other.reason(claimOf(first)), "copy", "which of the two it is, it cannot know");
  await new Promise(setImmediate);
  assert.deepEqual(
    other.asked.map(({ address }) => address),
    ["a:1"],
  );
  assert.equal(copy.closed, true);
  assert.equal(other.reason(claimOf(first)), undefined);
  assert.equal(other.reason(claimOf(second)), "copy");
});

test("a leader that has let a member in hears from another what the member has lost, and ends its connection", async () => {
  const time = new VirtualTime();
  const [leader, other] = [new Node("a", time), new Node("c", time)];
  leader.isLeader = true;
  other.leader = members[0];
  other.answer = (_, body) => leader.guard.told(body, helloOf("c", undefined));
  assert.equal(other.reason(claimOf(first)), undefined);
  other.guard.heard(helloOf("b", claimOf(first)), { term: 2, index: 145 });
  const rolledBack = claimOf(second, start(144, 2));
  assert.equal(leader.reason(rolledBack), undefined, "it knows nothing of it");
  const connection = leader.connect(rolledBack);
  assert.equal(other.reason(rolledBack), "rolled-back");
  await new Promise(setImmediate);
  assert.equal(connection.closed, true);
  assert.equal(leader.reason(rolledBack), "rolled-back");
});

test("what others have seen is taken from members only, and of members only", () => {
  const node = new Node("a", new VirtualTime());
  const seen = { life: 0, count: 9, nonce: nonce(9), promised: { term: 1, index: 1 }, copies: [] };
  const body = { directory: directoryOf("b"), refused: nonce(1), flaw: "older-boot", seen };
  assert.throws(() => node.guard.told(body, helloOf("stranger", undefined)), /only members/);
  assert.throws(
    () => node.guard.told({ ...body, directory: directoryOf("x") }, helloOf("c", undefined)),
    /only members/,
  );
  for (const wrong of [undefined, 5, {}, { ...body, seen: { ...seen, count: -1 } }]) {
    assert.throws(() => node.guard.told(wrong, helloOf("c", undefined)), /malformed/);
  }
});

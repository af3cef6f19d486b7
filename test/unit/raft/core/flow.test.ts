import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { checkConfig, type Entry, message, proposal } from "../../../../src/raft/core/mod.ts";
import { Lab, LabNetwork, network } from "../raft-lab.ts";

test("an append carries at most messageBytesMax, but at least one entry", () => {
  const net = network(3, { messageBytesMax: 100 });
  const sizes: number[] = [];
  net.lab(1).core.campaign();
  net.settle();
  net.isolate(3);
  for (let at = 0; at < 10; at++) net.lab(1).core.propose([proposal(Buffer.alloc(at === 5 ? 500 : 20))]);
  net.settle();
  net.cut = (message) => {
    if (message.type === "append" && message.to === 3) sizes.push(message.entries.length);
    return false;
  };
  net.lab(1).core.tick();
  net.settle();
  assert.ok(Math.max(...sizes) === 2, String(sizes));
  assert.deepEqual(net.lab(3).terms, net.lab(1).terms);
});

test("the entries handed out to be applied are limited until they are acknowledged", () => {
  const lab = new Lab({ voters: [1], applyingBytesMax: 40 });
  lab.lead();
  for (let at = 0; at < 6; at++) lab.core.propose([proposal(Buffer.alloc(4))]);
  let most = 0;
  while (lab.core.hasReady()) {
    const ready = lab.core.ready();
    lab.storage.append(ready.entries);
    most = Math.max(most, ready.committedEntries.length);
    lab.core.advance();
  }
  assert.equal(most, 2);
  assert.equal(lab.core.applied, 7);
});

test("a new entry is in one Ready, as the same object as in later messages, and in no earlier message", () => {
  const net = network(3, { draft: (change) => Buffer.from(change === undefined ? "empty" : "change") });
  const handedOut = new Map<string, Entry>();
  const seen = (entries: readonly Entry[]): void => {
    for (const entry of entries) {
      const key = `${entry.term}/${entry.index}`;
      assert.equal(handedOut.has(key), false, `${key} is handed out twice`);
      handedOut.set(key, entry);
    }
  };
  const { core, storage } = net.lab(1);
  const turn = (): void => {
    while (core.hasReady()) {
      const ready = core.ready();
      seen(ready.entries);
      for (const { type, entries } of ready.messages) {
        if (type !== "append") continue;
        for (const entry of entries) assert.equal(handedOut.get(`${entry.term}/${entry.index}`), entry);
      }
      storage.append(ready.entries);
      core.advance();
    }
  };
  core.campaign();
  turn();
  core.step(message("vote-response", 1, { from: 2, term: 1 }));
  core.propose([proposal(Buffer.from("a")), proposal(Buffer.from("b"))]);
  turn();
  core.propose([proposal(Buffer.from("c"))]);
  turn();
  core.step(message("append-response", 1, { from: 2, term: 1, index: 4 }));
  turn();
  assert.equal(Buffer.from(handedOut.get("1/1")?.bytes ?? []).toString(), "empty");
  assert.equal(handedOut.size, 4);
});

test("equal inputs give equal outputs", () => {
  const play = (): string => {
    const net = network(3, { preVote: true, checkQuorum: true });
    const sent: string[] = [];
    net.cut = (message) => {
      sent.push(JSON.stringify(message));
      return message.to === 2 && sent.length % 5 === 0;
    };
    for (let ticks = 0; ticks < 200; ticks++) {
      for (const lab of net.labs.values()) lab.core.tick();
      net.settle();
      if (ticks % 7 === 0)
        for (const lab of net.labs.values()) lab.core.propose([proposal(Buffer.from(String(ticks)))]);
      net.settle();
    }
    return sent.join("\n");
  };
  const first = play();
  assert.ok(first.includes('"append"'));
  assert.equal(play(), first);
});

test("followers that lose the connection to the leader elect another one within a few ticks", () => {
  const net = network(3, { preVote: true, checkQuorum: true, electionTicks: 100 });
  net.lab(1).core.campaign();
  net.settle();
  net.isolate(1);
  for (const id of [2, 3]) net.lab(id).core.leaderConnectionLost(1);
  let ticks = 0;
  while (net.lab(2).core.role !== "leader" && net.lab(3).core.role !== "leader" && ticks < 50) {
    for (const id of [2, 3]) net.lab(id).core.tick();
    net.settle();
    ticks++;
  }
  assert.ok(ticks <= 10, `${ticks} ticks`);
});

test("after a lost connection and a split vote, the next election follows without a full timeout", () => {
  let split = 0;
  for (let seed = 0; seed < 100; seed++) {
    const labs = [1, 2, 3].map(
      (id) =>
        new Lab({
          id,
          preVote: true,
          checkQuorum: true,
          electionTicks: 1_000_000,
          random: prng(`split/${seed}/${id}`),
        }),
    );
    const net = new LabNetwork(labs);
    net.lab(1).core.campaign();
    net.settle();
    net.isolate(1);
    const survivors = [net.lab(2).core, net.lab(3).core];
    for (const core of survivors) core.leaderConnectionLost(1);
    const { term } = survivors[0]!;
    let ticks = 0;
    while (!survivors.some(({ role }) => role === "leader") && ticks < 200) {
      for (const core of survivors) core.tick();
      net.settle();
      ticks++;
    }
    const won = survivors.find(({ role }) => role === "leader");
    assert.ok(won !== undefined, `seed ${seed}: no leader after ${ticks} ticks`);
    if (won.term > term + 1) split++;
  }
  assert.ok(split > 0, "no votes were split");
});

test("the short election timeout ends with the next leader", () => {
  const net = network(3, { preVote: true, checkQuorum: true, electionTicks: 100 });
  net.lab(1).core.campaign();
  net.settle();
  net.lab(2).core.leaderConnectionLost(1);
  // A heartbeat shows that the leader is there after all.
  net.lab(1).core.tick();
  net.settle();
  const { term } = net.lab(2).core;
  for (let ticks = 0; ticks < 60; ticks++) {
    net.lab(1).core.tick();
    net.lab(2).core.tick();
    net.settle();
  }
  assert.equal(net.lab(1).core.role, "leader");
  assert.equal(net.lab(2).core.term, term);
});

test("a node that may not campaign starts no election, and starts one once it may", () => {
  const net = network(3, { preVote: true, checkQuorum: true });
  const { core } = net.lab(2);
  core.reluctant = true;
  core.campaign();
  for (let ticks = 0; ticks < 100; ticks++) {
    core.tick();
    net.settle();
  }
  assert.equal(core.role, "follower");
  assert.equal(core.term, 0);
  core.reluctant = false;
  core.tick();
  net.settle();
  assert.equal(core.role, "leader");
});

test("an invalid configuration is refused with the reason", () => {
  const lab = { electionTicks: 10, heartbeatTicks: 1, inflightMessagesMax: 1, id: 1 };
  for (const [wrong, says] of [
    [{ id: 0 }, /peer id/],
    [{ heartbeatTicks: 0 }, /heartbeatTicks/],
    [{ electionTicks: 1 }, /electionTicks/],
    [{ inflightMessagesMax: 0 }, /inflightMessagesMax/],
    [{ inflightBytesMax: 5, messageBytesMax: 6 }, /inflightBytesMax/],
    [{ reads: "lease" }, /checkQuorum/],
  ] as const) {
    assert.throws(
      () => checkConfig({ ...lab, ...wrong } as never),
      (thrown) => thrown instanceof Fault && thrown.kind === "config" && says.test(thrown.message),
    );
  }
});

test("a peer cannot send messages that only a storage thread may send", () => {
  const lab = new Lab();
  const refused = lab.core.step({
    type: "storage-append-response",
    from: 2,
    to: 1,
    term: 0,
    index: 1,
    logTerm: 1,
    entries: [],
    commit: 0,
    vote: 0,
    reject: false,
    rejectHint: 0,
    context: 0,
    snapshot: undefined,
    responses: [],
  });
  assert.equal(refused, "storage-message-from-peer");
});

test("a leader keeps a limited number of read requests that it cannot confirm", () => {
  const net = network(3);
  net.lab(1).core.campaign();
  net.settle();
  net.cut = () => true;
  const leader = net.lab(1);
  const { term } = leader.core;
  for (let context = 1; context <= 10_000; context++) {
    leader.core.step(message("read-index", 1, { from: 2, term: 0, context }));
  }
  leader.settle();
  const dropped = leader.events.filter(({ kind }) => kind === "reads-dropped").length;
  assert.equal(dropped, 10_000 - 4_096);
  assert.equal(leader.core.term, term);
});

test("a leader whose disk cannot be read for a moment sends the snapshot, or the entries, later", () => {
  for (const what of ["snapshot", "append"] as const) {
    const lab = new Lab({ log: [1, 1, 1], term: 1, commit: 3, voters: [1, 2, 3] });
    lab.settle();
    lab.lead();
    const { storage } = lab;
    let refusals = 0;
    let isRefusing = true;
    const read = <T>(found: T): T => {
      if (!isRefusing) return found;
      refusals++;
      throw new Fault("disk-busy");
    };
    if (what === "snapshot") storage.compact(3);
    const { configuration } = lab.core;
    storage.newest = () => read({ index: 3, term: 1, configuration, data: Buffer.from("s") });
    const { entries } = storage;
    storage.entries = (...range) => read(entries.apply(storage, range));
    const asks = (): string[] => {
      lab.core.step(
        message("append-response", 1, { from: 3, term: 2, index: 3, reject: true, rejectHint: 0 }),
      );
      return lab
        .settle()
        .filter(({ to, entries, snapshot }) => to === 3 && (entries.length > 0 || snapshot))
        .map(({ type }) => type);
    };
    assert.deepEqual(asks(), []);
    assert.ok(refusals > 0, what);
    isRefusing = false;
    lab.core.step(message("heartbeat-response", 1, { from: 3, term: 2 }));
    const sent = lab
      .settle()
      .filter(({ to }) => to === 3)
      .map(({ type }) => type);
    assert.ok(sent.includes(what), `${what}: ${sent.join(" ")}`);
  }
});

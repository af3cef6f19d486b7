import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeRun } from "../../src/client/mod.ts";
import { Fault } from "../../src/fault.ts";
import { type Clock, delay, systemClock } from "../../src/lib/time/clock.ts";
import { batchKind, encodeFrame as encodeLogFrame, frameCrc } from "../../src/log/mod.ts";
import { decodeMessage } from "../../src/peer/wire/message-codec.ts";
import { decodeRequest } from "../../src/peer/wire/request-codec.ts";
import { type Entry, emptyConfState, type Message, message } from "../../src/raft/mod.ts";
import { entryOf } from "../../src/replication/entries.ts";
import { FakeCaller, FakePeer, helloOf, numberOf } from "../support/fake-peer.ts";
import { run } from "../support/logs.ts";
import { openPeer, type PeerNode } from "../support/peer-node.ts";
import { until } from "../support/replicas.ts";

const faultOf = async (work: Promise<unknown>): Promise<Fault> => {
  const reason = await work.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  assert.ok(reason instanceof Fault, String(reason));
  return reason;
};

const mebibyte = 1024 * 1024;

/** One entry of about this size. */
function entry(index: number, bytes: number): Entry {
  const payload = encodeRun([{ value: new Uint8Array(bytes) }]).bytes;
  const header = { index, term: 1, baseOffset: 0, timestampMs: 1, recordCount: 1, kind: batchKind.data };
  const frame = encodeLogFrame(header, payload, 0);
  assert.ok(frameCrc(frame, 0) > 0);
  return entryOf(frame);
}

const linked = (node: PeerNode): Promise<boolean> =>
  until("it is linked", () => node.network.peers().every(({ connected }) => connected));

/** `a` linked to a peer made of bytes. */
async function pair(options: Parameters<typeof openPeer>[1] = {}, prepare?: (peer: FakePeer) => void) {
  const peer = await FakePeer.open("b");
  prepare?.(peer);
  const a = await openPeer("a", options);
  a.know(peer.hello);
  await linked(a);
  const [from, to] = [numberOf(a.hello), numberOf(peer.hello)];
  return {
    a,
    peer,
    from,
    to,
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]();
      await peer[Symbol.asyncDispose]();
    },
  };
}

/** Attempts that have become rare never come: the lane stays as it is. */
const hasty: Clock = {
  ...systemClock,
  after: (delayMs, callback) =>
    delayMs > 165 ? { cancel: () => undefined } : systemClock.after(delayMs, callback),
};

describe("the lanes to a peer", () => {
  test("appends and snapshots go in order on one, everything else on the other", async () => {
    await using world = await pair();
    const { a, peer, from, to } = world;
    const sent: Message[] = [
      message("append", to, { from, term: 1, entries: [entry(1, 5_000)] }),
      message("heartbeat", to, { from, term: 1 }),
      message("append", to, { from, term: 1, index: 1, logTerm: 1, entries: [entry(2, 50)] }),
      message("vote", to, { from, term: 2 }),
      message("snapshot", to, {
        from,
        term: 1,
        snapshot: { index: 1, term: 1, configuration: emptyConfState, data: new Uint8Array(3_000_000) },
      }),
    ];
    for (const each of sent) a.network.send(each);
    await until("all is there", () => peer.frames("bulk", "snapshot").length === 1);
    await until("all is there", () => peer.frames("control", "message").length === 2);
    const types = (kind: "bulk" | "control"): string[] =>
      peer
        .last(kind)
        .frames.filter((frame) => ["message", "append", "snapshot"].includes(frame.kind))
        // The data of this snapshot is no start of a log, so that it may be large.
        .map((frame) => (frame.kind === "snapshot" ? frame.kind : decodeMessage(frame).type));
    assert.deepEqual(types("bulk"), ["append", "append", "snapshot"]);
    assert.deepEqual(types("control"), ["heartbeat", "vote"]);
    await until("Raft was told", () => a.told.snapshots.length === 1);
    assert.deepEqual(a.told.snapshots, [{ peer: to, delivered: true }]);
    assert.deepEqual(a.told.unreachable, []);
  });

  test("a bulk lane that the peer does not read delays no heartbeat, keeps within its bounds, and Raft is told", async () => {
    const bulk = { countMax: 100, bytesMax: 8 * mebibyte };
    await using world = await pair({ limits: { bulk, silentTicksMax: 1_000 } }, (peer) => {
      peer.stalls = "bulk";
    });
    const { a, peer, from, to } = world;
    const large = entry(1, mebibyte);
    for (let round = 0; round < 60; round++) {
      a.network.send(message("append", to, { from, term: 1, entries: [large] }));
      a.network.send(message("heartbeat", to, { from, term: 1, commit: round }));
      await until("the heartbeat is there", () => peer.frames("control", "message").length === round + 1);
    }
    assert.equal(peer.frames("bulk", "append").length, 0);
    assert.ok(a.told.unreachable.length > 0);
    assert.ok(a.told.unreachable.every((number) => number === to));
    const dropped = a.told.unreachable.length;
    peer.last("bulk").socket.resume();
    await until("it goes on", () => peer.frames("bulk", "append").length + dropped === 60);
    // What the sockets hold is not ours to count.
    assert.ok(peer.frames("bulk", "append").length < 60);
  });

  test("the same memory may be on its way many times", async () => {
    await using world = await pair();
    const { a, peer, from, to } = world;
    const shared = entry(1, 100_000);
    for (let n = 0; n < 20; n++) a.network.send(message("append", to, { from, term: 1, entries: [shared] }));
    await until("all is there", () => peer.frames("bulk", "append").length === 20);
    for (const frame of peer.frames("bulk", "append")) {
      assert.equal(Buffer.compare(frame.body, shared.bytes), 0);
    }
  });

  test("a snapshot that was cut off has failed, wherever it had come to", async () => {
    const bulk = { countMax: 1_000, bytesMax: 64 * mebibyte };
    for (const dataBytes of [100, 40 * mebibyte]) {
      for (const before of [0, 16]) {
        await using world = await pair({ limits: { bulk, silentTicksMax: 1_000 } }, (peer) => {
          peer.stalls = "bulk";
        });
        const { a, peer, from, to } = world;
        const large = entry(1, 3 * mebibyte);
        for (let n = 0; n < before; n++)
          a.network.send(message("append", to, { from, term: 1, entries: [large] }));
        const data = new Uint8Array(dataBytes);
        const snapshot = { index: 1, term: 1, configuration: emptyConfState, data };
        a.network.send(message("snapshot", to, { from, term: 1, snapshot }));
        await delay(systemClock, 50);
        peer.last("bulk").socket.destroy();
        await until("Raft was told", () => a.told.snapshots.length === 1);
        // A little one may have left before.
        const delivered = dataBytes === 100 && before === 0;
        assert.deepEqual(a.told.snapshots, [{ peer: to, delivered }]);
      }
    }
  });

  test("a lane on which little moves at a time is slow, not dead", async () => {
    await using world = await pair({ limits: { tickMs: 50, silentTicksMax: 4 } }, (peer) => {
      peer.stalls = "bulk";
    });
    const { a, peer, from, to } = world;
    const large = entry(1, 3 * mebibyte);
    for (let n = 0; n < 6; n++) a.network.send(message("append", to, { from, term: 1, entries: [large] }));
    const { socket } = peer.last("bulk");
    // A few chunks at a time, for many times as long as silence is borne.
    while (peer.frames("bulk", "append").length < 6) {
      socket.resume();
      await new Promise((resolve) => setImmediate(resolve));
      socket.pause();
      await delay(systemClock, 15);
    }
    assert.equal(peer.opened("bulk").length, 1);
    assert.deepEqual(a.told.unreachable, []);
  });

  test("without a link messages are dropped and Raft is told once a turn; a snapshot has failed", async () => {
    await using a = await openPeer("a", { clock: hasty });
    const b = await openPeer("b");
    await b[Symbol.asyncDispose]();
    a.know(b.hello);
    const [from, to] = [numberOf(a.hello), numberOf(b.hello)];
    await until("the attempts have become rare", () => a.told.refused.length >= 10);
    const before = a.told.unreachable.length;
    for (let n = 0; n < 10; n++) a.network.send(message("append", to, { from, term: 1 }));
    const snapshot = { index: 1, term: 1, configuration: emptyConfState, data: new Uint8Array(1) };
    a.network.send(message("snapshot", to, { from, term: 1, snapshot }));
    await until("Raft was told", () => a.told.unreachable.length > before && a.told.snapshots.length > 0);
    assert.deepEqual(a.told.snapshots[0], { peer: to, delivered: false });
    assert.equal(a.told.unreachable.length - before, 1);
    assert.deepEqual([...new Set(a.told.refused)], [to]);
  });

  test("a link that was reset comes back by itself, and that is no proof that the peer is gone", async () => {
    await using world = await pair();
    const { a, peer, from, to } = world;
    for (const { socket } of peer.lanes) socket.resetAndDestroy();
    await until(
      "both are open again",
      () => peer.lanes.length === 4 && a.network.peers()[0]?.connected === true,
    );
    a.network.send(message("heartbeat", to, { from, term: 9 }));
    await until("it is used", () => peer.frames("control", "message").length === 1);
    assert.deepEqual(a.told.refused, []);
    assert.ok(a.told.unreachable.includes(to));
    assert.equal(a.lines.filter(({ message: line }) => line === "a link to a peer was lost").length, 2);
  });

  test("why a peer cannot be linked is told once, not at each attempt", async () => {
    await using a = await openPeer("a");
    const b = await openPeer("b");
    await b[Symbol.asyncDispose]();
    a.know(b.hello);
    await until("it has tried for a while", () => a.told.refused.length >= 8);
    const lines = a.lines.filter(({ message: line }) => line === "a peer cannot be linked");
    assert.deepEqual(
      lines.map(({ facts }) => [facts["peer"], facts["code"]]),
      [["b", "ECONNREFUSED"]],
    );
  });

  test("a connection that is refused says that the process is gone", async () => {
    await using world = await pair();
    const { a, peer, to } = world;
    await peer.stopListening();
    for (const { socket } of peer.lanes) socket.destroy();
    await until("Raft was told", () => a.told.refused.includes(to));
    assert.equal(a.network.peers()[0]?.connected, false);
  });

  test("a peer that opens a lane to this node is dialled at once", async () => {
    await using a = await openPeer("a", { clock: hasty });
    const b = await openPeer("b");
    await b[Symbol.asyncDispose]();
    a.know(b.hello);
    await until("the attempts have become rare", () => a.told.refused.length >= 10);
    await using again = await FakePeer.open("b", b.port);
    using caller = new FakeCaller(a.port);
    caller.greet("control", again.hello);
    await linked(a);
  });

  test("who answers with another directory, or name, is not spoken with", async () => {
    await using a = await openPeer("a");
    await using peer = await FakePeer.open("b");
    const member = peer.hello;
    peer.hello = { ...member, directory: "0".repeat(32) };
    a.know(member);
    await until("it is told", () => a.network.peers()[0]?.refused !== undefined);
    assert.match(a.network.peers()[0]!.refused!, /member b has directory/);
    peer.hello = { ...member, name: "c" };
    await until("it is told", () => /c answers where b/.test(a.network.peers()[0]?.refused ?? ""));
    assert.equal(peer.frames("control", "message").length, 0);
    peer.hello = member;
    await linked(a);
    assert.equal(a.network.peers()[0]?.refused, undefined);
  });

  test("a lane on which nothing moves any more is given up and dialled anew", async () => {
    await using world = await pair({ limits: { tickMs: 20, silentTicksMax: 3 } }, (peer) => {
      peer.deaf = true;
    });
    const { a, peer } = world;
    // It takes pings and answers none.
    await until(
      "it was dialled anew",
      () => peer.opened("control").length >= 2 && peer.opened("bulk").length >= 2,
    );
    assert.ok(a.lines.some(({ facts }) => facts["why"] === "the peer is silent"));
  });

  test("a peer that answers pings is kept, also when there is nothing to say", async () => {
    await using a = await openPeer("a", { limits: { tickMs: 10, silentTicksMax: 3 } });
    await using b = await openPeer("b", { limits: { tickMs: 10, incomingSilentTicksMax: 3 } });
    a.know(b.hello);
    await linked(a);
    await delay(systemClock, 400);
    assert.equal(a.lines.filter(({ message: line }) => line === "a link to a peer was lost").length, 0);
    assert.ok(Math.abs(a.network.peers()[0]?.clockOffMs ?? Number.NaN) < 1_000);
  });

  test("a process that stood still reads what came meanwhile before it calls anybody silent", async () => {
    await using a = await openPeer("a", { limits: { tickMs: 10, silentTicksMax: 2 } });
    await using b = await openPeer("b", { limits: { tickMs: 10, incomingSilentTicksMax: 2 } });
    a.know(b.hello);
    await linked(a);
    for (let pause = 0; pause < 5; pause++) {
      const end = Date.now() + 100;
      while (Date.now() < end);
      await delay(systemClock, 5);
    }
    assert.equal(a.lines.filter(({ message: line }) => line === "a link to a peer was lost").length, 0);
    assert.equal(a.network.peers()[0]?.connected, true);
  });

  test("members that are removed are let go, those that move are followed", async () => {
    await using world = await pair();
    const { a, peer } = world;
    await using moved = await FakePeer.open("b");
    a.know(moved.hello);
    await until("the old address is left", () => peer.lanes.every(({ socket }) => socket.destroyed));
    await linked(a);
    assert.equal(moved.opened("control").length, 1);
    a.know();
    await until("it is let go", () => moved.lanes.every(({ socket }) => socket.destroyed));
    assert.deepEqual(a.network.peers(), []);
    await delay(systemClock, 100);
    assert.equal(moved.lanes.length, 2);
  });

  test("malformed bytes from a member end the lane, and it is dialled anew", async () => {
    await using world = await pair();
    const { a, peer } = world;
    peer.last("control").socket.write(new Uint8Array(64).fill(0xee));
    await until("it was dialled anew", () => peer.opened("control").length === 2);
    await linked(a);
    assert.ok(a.lines.some(({ facts }) => facts["why"] === "kind"));
  });

  test("a member that calls from another address than was known is told of, until that is what is known", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    await using guest = await openPeer("c");
    a.know({ ...b.hello, address: "127.0.0.1:1" });
    b.know(a.hello);
    guest.know(a.hello);
    await linked(b);
    await linked(guest);
    await until("both lanes were told of", () => a.moves === 2);
    assert.deepEqual(
      a.network.moved().map(({ name, address }) => [name, address]),
      [["b", b.address]],
    );
    a.know(b.hello);
    assert.deepEqual(a.network.moved(), []);
    a.know({ ...b.hello, address: "127.0.0.1:1" });
    await b.network[Symbol.asyncDispose]();
    await until("it is gone", () => a.network.moved().length === 0);
  });
});

describe("a forwarded append", () => {
  test("takes everything of the call along, and brings the answer back", async () => {
    await using a = await openPeer("a");
    const seen: unknown[] = [];
    await using b = await openPeer("b", {
      authorize: (caller, action) => void seen.push([caller, action]),
    });
    b.append = async (given, { deadlineMs, ...options }) => {
      seen.push({ bytes: Buffer.from(given.bytes), count: given.count, options });
      assert.ok(Math.abs(deadlineMs! - deadline) < 5_000);
      return { firstOffset: 7, count: given.count, timestampMs: 9, duplicate: true };
    };
    a.know(b.hello);
    await linked(a);
    const deadline = performance.now() + 30_000;
    const records = run("x", "y".repeat(3_000_000));
    const producer = { subject: "alice", id: 2n ** 63n, epoch: 3, sequence: 12 };
    const appended = await a.network.append("b", records, {
      producer,
      expectedOffset: 7,
      deadlineMs: deadline,
      subject: "alice",
      traceparent: "00-1-2-01",
    });
    assert.deepEqual(appended, { firstOffset: 7, count: 2, timestampMs: 9, duplicate: true });
    assert.deepEqual(seen, [
      [{ subject: "alice", isPeer: false }, "produce"],
      {
        bytes: Buffer.from(records.bytes),
        count: 2,
        options: {
          producer,
          expectedOffset: 7,
          subject: "alice",
          traceparent: "00-1-2-01",
          forward: false,
          forwarded: true,
        },
      },
    ]);
    assert.equal(await a.network.trim("b", 5, { subject: "bob" }), 5);
    assert.deepEqual(seen[2], [{ subject: "bob", isPeer: false }, "trim"]);
  });

  test("is decided once more at the leader: refused there, it is not written", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", {
      authorize: ({ subject }) => {
        if (subject !== "alice") throw new Fault("permission-denied", { facts: { subject } });
      },
    });
    let appends = 0;
    b.append = async ({ count }) => ({ firstOffset: appends++, count, timestampMs: 1, duplicate: false });
    a.know(b.hello);
    await linked(a);
    for (const [options, subject] of [
      [{ subject: "mallory" }, "mallory"],
      [{}, "anonymous"],
    ] as const) {
      const fault = await faultOf(a.network.append("b", run("x"), options));
      assert.equal(fault.kind, "permission-denied");
      assert.equal(fault.written, "no");
      assert.deepEqual(fault.facts, { subject });
    }
    assert.equal(appends, 0);
    await a.network.append("b", run("x"), { subject: "alice" });
    assert.equal(appends, 1);
  });

  test("records that are none are refused at the leader, wherever they came from", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    a.know(b.hello);
    await linked(a);
    const sound = run("x");
    const fault = await faultOf(a.network.append("b", { ...sound, count: 3 }, {}));
    assert.equal(fault.kind, "bad-request");
    const broken = await faultOf(a.network.append("b", { bytes: Uint8Array.of(0x0a, 9, 1), count: 1 }, {}));
    assert.equal(broken.kind, "bad-record");
    assert.equal(broken.written, "no");
  });

  test("to somebody who is no member, or cannot be reached, is not written", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    await b[Symbol.asyncDispose]();
    a.know(b.hello);
    await until("it has tried", () => a.told.refused.length > 1);
    await delay(systemClock, 50);
    for (const name of ["b", "nobody"]) {
      const fault = await faultOf(a.network.append(name, run("x"), {}));
      assert.equal(fault.kind, "unavailable", name);
      assert.equal(fault.written, "no");
      assert.equal(fault.retry, true);
    }
  });

  test("cut after it was sent: nobody knows", async () => {
    await using world = await pair();
    const { a, peer } = world;
    const asked = faultOf(a.network.append("b", run("x"), {}));
    await until("it is there", () => peer.frames("bulk", "request").length === 1);
    assert.equal(decodeRequest(peer.frames("bulk", "request")[0]!).verb, "append");
    peer.last("bulk").socket.destroy();
    const fault = await asked;
    assert.equal(fault.kind, "interrupted");
    assert.equal(fault.written, "unknown");
    // It is never sent again by the network itself.
    await linked(a);
    await delay(systemClock, 50);
    assert.equal(peer.frames("bulk", "request").length, 1);
  });

  test("cut while it still waited for its turn: certainly not written", async () => {
    const bulk = { countMax: 1_000, bytesMax: 64 * mebibyte };
    await using world = await pair({ limits: { bulk, silentTicksMax: 1_000 } }, (peer) => {
      peer.stalls = "bulk";
    });
    const { a, peer, from, to } = world;
    const large = entry(1, 3 * mebibyte);
    // More than the sockets of both ends take while nobody reads.
    for (let n = 0; n < 16; n++) a.network.send(message("append", to, { from, term: 1, entries: [large] }));
    await delay(systemClock, 50);
    const asked = faultOf(a.network.append("b", run("x"), {}));
    await delay(systemClock, 20);
    peer.last("bulk").socket.destroy();
    const fault = await asked;
    assert.equal(fault.kind, "unavailable");
    assert.equal(fault.written, "no");
  });

  test("out of time: unknown once sent, not written while it waited; and then it does not go any more", async () => {
    await using world = await pair({ limits: { bulk: { countMax: 1_000, bytesMax: 64 * mebibyte } } });
    const { a, peer, from, to } = world;
    const sent = await faultOf(a.network.append("b", run("x"), { deadlineMs: performance.now() + 50 }));
    assert.equal(sent.kind, "deadline");
    assert.equal(sent.written, "unknown");
    peer.last("bulk").socket.pause();
    for (let n = 0; n < 16; n++) {
      a.network.send(message("append", to, { from, term: 1, entries: [entry(1, 3 * mebibyte)] }));
    }
    await delay(systemClock, 50);
    const waited = await faultOf(a.network.append("b", run("x"), { deadlineMs: performance.now() + 50 }));
    assert.equal(waited.kind, "deadline");
    assert.equal(waited.written, "no");
    peer.last("bulk").socket.resume();
    await until("the rest is there", () => peer.frames("bulk", "append").length === 16);
    await delay(systemClock, 20);
    assert.equal(peer.frames("bulk", "request").length, 1);
  });

  test("given up: unknown once sent, not written while it waited; and then it does not go any more", async () => {
    await using world = await pair({ limits: { bulk: { countMax: 1_000, bytesMax: 64 * mebibyte } } });
    const { a, peer, from, to } = world;
    const first = new AbortController();
    const sent = faultOf(a.network.append("b", run("x"), {}, first.signal));
    await until("it is there", () => peer.frames("bulk", "request").length === 1);
    first.abort();
    assert.deepEqual([(await sent).kind, (await sent).written], ["interrupted", "unknown"]);
    peer.last("bulk").socket.pause();
    for (let n = 0; n < 16; n++) {
      a.network.send(message("append", to, { from, term: 1, entries: [entry(1, 3 * mebibyte)] }));
    }
    await delay(systemClock, 50);
    const second = new AbortController();
    const waited = faultOf(a.network.append("b", run("x"), {}, second.signal));
    await delay(systemClock, 20);
    second.abort();
    assert.deepEqual([(await waited).kind, (await waited).written], ["unavailable", "no"]);
    const late = await faultOf(a.network.append("b", run("x"), {}, second.signal));
    assert.equal(late.written, "no");
    peer.last("bulk").socket.resume();
    await until("the rest is there", () => peer.frames("bulk", "append").length === 16);
    await delay(systemClock, 20);
    assert.equal(peer.frames("bulk", "request").length, 1);
  });

  test("an answer that makes no sense leaves the outcome unknown", async () => {
    await using world = await pair({}, (peer) => {
      peer.answers = ["what?"];
    });
    const fault = await faultOf(world.a.network.append("b", run("x"), {}));
    assert.equal(fault.kind, "unknown");
    assert.equal(fault.written, "unknown");
  });

  test("the leader takes so many at once and refuses the rest as not written", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", { limits: { requestsMax: 3 } });
    const { promise: open, resolve: go } = Promise.withResolvers<void>();
    b.append = async ({ count }) => {
      await open;
      return { firstOffset: 0, count, timestampMs: 1, duplicate: false };
    };
    a.know(b.hello);
    await linked(a);
    const appends = Array.from({ length: 5 }, () => a.network.append("b", run("x"), {}).catch(Fault.from));
    const early = await Promise.race(appends);
    assert.ok(early instanceof Fault && early.kind === "overloaded" && early.written === "no");
    go();
    const ended = await Promise.all(appends);
    assert.equal(ended.filter((each) => each instanceof Fault).length, 2);
  });

  test("many go at once over one lane, and each gets its own answer", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    let next = 0;
    b.append = async ({ count }) => {
      const firstOffset = next;
      next += count;
      if (firstOffset % 3 === 0) await delay(systemClock, firstOffset % 7);
      return { firstOffset, count, timestampMs: 1, duplicate: false };
    };
    a.know(b.hello);
    await linked(a);
    const answers = await Promise.all(Array.from({ length: 500 }, () => a.network.append("b", run("x"), {})));
    assert.deepEqual(
      answers.map(({ firstOffset }) => firstOffset),
      Array.from({ length: 500 }, (_, at) => at),
    );
  });
});

describe("who belongs", () => {
  test("a node does not dial its own address, where a member was that it replaces", async () => {
    await using a = await openPeer("a");
    const former = { ...helloOf("a", a.address), directory: "5c".repeat(16) };
    a.know(former);
    assert.deepEqual(a.network.peers(), []);
    assert.ok(a.lines.every(({ message: text }) => !/itself|cannot be linked/.test(text)));
  });

  test("a leader takes no forwarded writes from a node that its configuration does not name", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    await using c = await openPeer("c");
    b.know(c.hello);
    a.know(b.hello);
    await linked(a);
    const fault = await faultOf(a.network.append("b", run("x"), {}));
    assert.deepEqual([fault.kind, fault.written], ["failed-precondition", "no"]);
    assert.match(fault.message, /a is not a member/);
    b.know(a.hello, c.hello);
    await a.network.append("b", run("x"), {});
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type Clock, delay, systemClock } from "../../../src/lib/time/clock.ts";
import { peerIdOfHello } from "../../../src/peer/handshake/introduction.ts";
import { decodeMessage } from "../../../src/peer/wire/message-codec.ts";
import { emptyConfState, type Message, message } from "../../../src/raft/mod.ts";
import { helloOf } from "../../support/peer/peer-hello.ts";
import { until } from "../../support/until.ts";
import { FakeCaller } from "./fake-caller.ts";
import { FakePeer } from "./fake-peer.ts";
import { openPeer, type PeerNode, untilLinked } from "./peer-node.ts";
import { entryOfSize, openPair } from "./peer-pair.ts";

const mebibyte = 1024 * 1024;

/** Counts the pings that a node answers from now on. */
function countPongs({ network }: PeerNode): () => number {
  let pongs = 0;
  const reading = network.time.reading.bind(network.time);
  network.time.reading = () => {
    pongs++;
    return reading();
  };
  return () => pongs;
}

/** Timers beyond this delay never fire: once the delay between attempts has grown, a channel keeps waiting. */
const withoutLongTimers: Clock = {
  ...systemClock,
  after: (delayMs, callback) =>
    delayMs > 165 ? { cancel: () => undefined } : systemClock.after(delayMs, callback),
};

describe("messages on a link to a peer", () => {
  test("sends appends and snapshots in order on the bulk channel, all other messages on the control channel", async () => {
    await using pair = await openPair();
    const { node: a, peer, from, to } = pair;
    const sent: Message[] = [
      message("append", to, { from, term: 1, entries: [entryOfSize(1, 5_000)] }),
      message("heartbeat", to, { from, term: 1 }),
      message("append", to, { from, term: 1, index: 1, logTerm: 1, entries: [entryOfSize(2, 50)] }),
      message("vote", to, { from, term: 2 }),
      message("snapshot", to, {
        from,
        term: 1,
        snapshot: { index: 1, term: 1, configuration: emptyConfState, data: new Uint8Array(3_000_000) },
      }),
    ];
    for (const each of sent) a.network.send(each);
    await until("the snapshot has arrived", () => peer.frames("bulk", "snapshot").length === 1);
    await until("the messages have arrived", () => peer.frames("control", "message").length === 2);
    const types = (kind: "bulk" | "control"): string[] =>
      peer
        .last(kind)
        .frames.filter((frame) => ["message", "append", "snapshot"].includes(frame.kind))
        // The data of this snapshot cannot be decoded: it is not the start of a log.
        .map((frame) => (frame.kind === "snapshot" ? frame.kind : decodeMessage(frame).type));
    assert.deepEqual(types("bulk"), ["append", "append", "snapshot"]);
    assert.deepEqual(types("control"), ["heartbeat", "vote"]);
    await until("Raft is informed", () => a.raft.snapshots.length === 1);
    assert.deepEqual(a.raft.snapshots, [{ peer: to, delivered: true }]);
    assert.deepEqual(a.raft.unreachable, []);
  });

  test("drops appends beyond the queue limit, informs Raft, and delays no heartbeat while the peer does not read them", async () => {
    const bulk = { countMax: 100, bytesMax: 8 * mebibyte };
    await using pair = await openPair({ limits: { bulk, silentTicksMax: 1_000 } }, (peer) => {
      peer.stalls = "bulk";
    });
    const { node: a, peer, from, to } = pair;
    const large = entryOfSize(1, mebibyte);
    for (let round = 0; round < 60; round++) {
      a.network.send(message("append", to, { from, term: 1, entries: [large] }));
      a.network.send(message("heartbeat", to, { from, term: 1, commit: round }));
      await until("the heartbeat has arrived", () => peer.frames("control", "message").length === round + 1);
    }
    assert.equal(peer.frames("bulk", "append").length, 0);
    assert.ok(a.raft.unreachable.length > 0);
    assert.ok(a.raft.unreachable.every((number) => number === to));
    const dropped = a.raft.unreachable.length;
    peer.last("bulk").socket.resume();
    await until(
      "the queued appends have arrived",
      () => peer.frames("bulk", "append").length + dropped === 60,
    );
    // The buffers of the sockets hold more than the queue.
    assert.ok(peer.frames("bulk", "append").length < 60);
  });

  test("can send the same memory many times", async () => {
    await using pair = await openPair();
    const { node: a, peer, from, to } = pair;
    const entry = entryOfSize(1, 100_000);
    for (let n = 0; n < 20; n++) a.network.send(message("append", to, { from, term: 1, entries: [entry] }));
    await until("all appends have arrived", () => peer.frames("bulk", "append").length === 20);
    for (const frame of peer.frames("bulk", "append")) {
      assert.equal(Buffer.compare(frame.body, entry.bytes), 0);
    }
  });

  test("reports a snapshot as failed if the connection ends before all of it is written", async () => {
    const bulk = { countMax: 1_000, bytesMax: 64 * mebibyte };
    for (const dataBytes of [100, 40 * mebibyte]) {
      for (const before of [0, 16]) {
        await using pair = await openPair({ limits: { bulk, silentTicksMax: 1_000 } }, (peer) => {
          peer.stalls = "bulk";
        });
        const { node: a, peer, from, to } = pair;
        const large = entryOfSize(1, 3 * mebibyte);
        for (let n = 0; n < before; n++)
          a.network.send(message("append", to, { from, term: 1, entries: [large] }));
        const data = new Uint8Array(dataBytes);
        const snapshot = { index: 1, term: 1, configuration: emptyConfState, data };
        a.network.send(message("snapshot", to, { from, term: 1, snapshot }));
        // Only a small snapshot without appends before it fits into the buffers of the sockets.
        const delivered = dataBytes === 100 && before === 0;
        if (delivered) await until("it is written", () => a.raft.snapshots.length === 1);
        else for (let turns = 0; turns < 10; turns++) await turn();
        peer.last("bulk").socket.destroy();
        await until("Raft is informed", () => a.raft.snapshots.length === 1);
        assert.deepEqual(a.raft.snapshots, [{ peer: to, delivered }]);
      }
    }
  });

  test("does not take a slow peer for a dead one", async () => {
    await using pair = await openPair({ limits: { tickMs: 50, silentTicksMax: 4 } }, (peer) => {
      peer.stalls = "bulk";
    });
    const { node: a, peer, from, to } = pair;
    const large = entryOfSize(1, 3 * mebibyte);
    for (let n = 0; n < 6; n++) a.network.send(message("append", to, { from, term: 1, entries: [large] }));
    const { socket } = peer.last("bulk");
    // The peer reads a few chunks at a time, for much longer than the limit of silence.
    while (peer.frames("bulk", "append").length < 6) {
      socket.resume();
      await turn();
      socket.pause();
      await delay(systemClock, 15);
    }
    assert.equal(peer.opened("bulk").length, 1);
    assert.deepEqual(a.raft.unreachable, []);
  });

  test("drops messages without a connection and informs Raft once a turn; a snapshot has failed", async () => {
    await using a = await openPeer("a", { clock: withoutLongTimers });
    const b = await openPeer("b");
    await b[Symbol.asyncDispose]();
    a.setMembers(b.hello);
    const [from, to] = [peerIdOfHello(a.hello), peerIdOfHello(b.hello)];
    await until("the delay between attempts has grown", () => a.raft.connectionsRefused.length >= 10);
    const before = a.raft.unreachable.length;
    for (let n = 0; n < 10; n++) a.network.send(message("append", to, { from, term: 1 }));
    const snapshot = { index: 1, term: 1, configuration: emptyConfState, data: new Uint8Array(1) };
    a.network.send(message("snapshot", to, { from, term: 1, snapshot }));
    await until("Raft is informed", () => a.raft.unreachable.length > before && a.raft.snapshots.length > 0);
    assert.deepEqual(a.raft.snapshots[0], { peer: to, delivered: false });
    assert.equal(a.raft.unreachable.length - before, 1);
    assert.deepEqual([...new Set(a.raft.connectionsRefused)], [to]);
  });
});

describe("the connections of a link to a peer", () => {
  test("is opened again after a reset, which does not mean that the peer's process has ended", async () => {
    await using pair = await openPair();
    const { node: a, peer, from, to } = pair;
    for (const { socket } of peer.connections) socket.resetAndDestroy();
    await until(
      "both are open again",
      () => peer.connections.length === 4 && a.network.peers()[0]?.connected === true,
    );
    a.network.send(message("heartbeat", to, { from, term: 9 }));
    await until("the message has arrived", () => peer.frames("control", "message").length === 1);
    assert.deepEqual(a.raft.connectionsRefused, []);
    assert.ok(a.raft.unreachable.includes(to));
    assert.equal(a.lines.filter(({ message: line }) => line === "a link to a peer was lost").length, 2);
  });

  test("logs once why a peer cannot be reached, not at each attempt", async () => {
    await using a = await openPeer("a");
    const b = await openPeer("b");
    await b[Symbol.asyncDispose]();
    a.setMembers(b.hello);
    await until("it has made several attempts", () => a.raft.connectionsRefused.length >= 8);
    const lines = a.lines.filter(({ message: line }) => line === "a peer cannot be linked");
    assert.deepEqual(
      lines.map(({ facts }) => [facts["peer"], facts["code"]]),
      [["b", "ECONNREFUSED"]],
    );
  });

  test("reports a refused connection: the peer's process has ended", async () => {
    await using pair = await openPair();
    const { node: a, peer, to } = pair;
    peer.stopListening();
    for (const { socket } of peer.connections) socket.destroy();
    await until("Raft is informed", () => a.raft.connectionsRefused.includes(to));
    assert.equal(a.network.peers()[0]?.connected, false);
  });

  test("is dialed immediately when the peer opens a channel to this node", async () => {
    await using a = await openPeer("a", { clock: withoutLongTimers });
    const b = await openPeer("b");
    await b[Symbol.asyncDispose]();
    a.setMembers(b.hello);
    await until("the delay between attempts has grown", () => a.raft.connectionsRefused.length >= 10);
    await using again = await FakePeer.open("b", b.port);
    using caller = new FakeCaller(a.port);
    caller.introduce("control", again.hello);
    await untilLinked(a);
  });

  test("is refused if the node at the address has another directory or name", async () => {
    await using a = await openPeer("a");
    await using peer = await FakePeer.open("b");
    const member = peer.hello;
    peer.hello = { ...member, directory: "0".repeat(32) };
    a.setMembers(member);
    await until("it is refused", () => a.network.peers()[0]?.refused !== undefined);
    assert.match(a.network.peers()[0]!.refused!, /member b has directory/);
    peer.hello = { ...member, name: "c" };
    await until("it is refused", () =>
      /c responds at the address of b/.test(a.network.peers()[0]?.refused ?? ""),
    );
    assert.equal(peer.frames("control", "message").length, 0);
    peer.hello = member;
    await untilLinked(a);
    assert.equal(a.network.peers()[0]?.refused, undefined);
  });

  test("is closed and dialed again if the peer is silent", async () => {
    await using pair = await openPair({ limits: { tickMs: 20, silentTicksMax: 3 } }, (peer) => {
      peer.ignoresPings = true;
    });
    const { node: a, peer } = pair;
    await until(
      "both channels are dialed again",
      () => peer.opened("control").length >= 2 && peer.opened("bulk").length >= 2,
    );
    assert.ok(a.lines.some(({ facts }) => facts["why"] === "the peer is silent"));
  });

  test("stays open without messages while the peer answers pings", async () => {
    await using a = await openPeer("a", { limits: { tickMs: 10, silentTicksMax: 3 } });
    await using b = await openPeer("b", { limits: { tickMs: 10, incomingSilentTicksMax: 3 } });
    a.setMembers(b.hello);
    await untilLinked(a);
    const pongs = countPongs(b);
    await until("many pings are answered", () => pongs() >= 40);
    assert.equal(a.lines.filter(({ message: line }) => line === "a link to a peer was lost").length, 0);
    assert.ok(Math.abs(a.network.peers()[0]?.clockOffMs ?? Number.NaN) < 1_000);
  });

  test("is not closed after a pause of the process: what has arrived is read before silence is counted", async () => {
    await using a = await openPeer("a", { limits: { tickMs: 10, silentTicksMax: 2 } });
    await using b = await openPeer("b", { limits: { tickMs: 10, incomingSilentTicksMax: 2 } });
    a.setMembers(b.hello);
    await untilLinked(a);
    const pongs = countPongs(b);
    for (let pause = 0; pause < 5; pause++) {
      const end = Date.now() + 100;
      while (Date.now() < end);
      const before = pongs();
      await until("pings are answered again", () => pongs() > before);
    }
    assert.equal(a.lines.filter(({ message: line }) => line === "a link to a peer was lost").length, 0);
    assert.equal(a.network.peers()[0]?.connected, true);
  });

  test("follows a member to a new address, and is closed when the member is removed", async () => {
    await using pair = await openPair();
    const { node: a, peer } = pair;
    await using moved = await FakePeer.open("b");
    a.setMembers(moved.hello);
    await until("the old address is left", () => peer.connections.every(({ socket }) => socket.destroyed));
    await untilLinked(a);
    assert.equal(moved.opened("control").length, 1);
    a.setMembers();
    await until("the link is closed", () => moved.connections.every(({ socket }) => socket.destroyed));
    assert.deepEqual(a.network.peers(), []);
    await using other = await FakePeer.open("c");
    a.setMembers(other.hello);
    await untilLinked(a);
    assert.equal(moved.connections.length, 2, "the removed member is not dialed again");
  });

  test("is dialed again after malformed bytes", async () => {
    await using pair = await openPair();
    const { node: a, peer } = pair;
    peer.last("control").socket.write(new Uint8Array(64).fill(0xee));
    await until("it is dialed again", () => peer.opened("control").length === 2);
    await untilLinked(a);
    assert.ok(a.lines.some(({ facts }) => facts["why"] === "kind"));
  });

  test("reports a member that connects with a new address, until the configuration has that address", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    await using guest = await openPeer("c");
    a.setMembers({ ...b.hello, address: "127.0.0.1:1" });
    b.setMembers(a.hello);
    guest.setMembers(a.hello);
    await untilLinked(b);
    await untilLinked(guest);
    await until("both channels are reported", () => a.moves === 2);
    assert.deepEqual(
      a.network.movedMembers().map(({ name, address }) => [name, address]),
      [["b", b.address]],
    );
    a.setMembers(b.hello);
    assert.deepEqual(a.network.movedMembers(), []);
    a.setMembers({ ...b.hello, address: "127.0.0.1:1" });
    await b.network[Symbol.asyncDispose]();
    await until("its channels are closed", () => a.network.movedMembers().length === 0);
  });

  test("stays open when an older configuration is installed, with the address of the member before it moved", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    b.setMembers(a.hello);
    a.setMembers(b.hello);
    await untilLinked(a);
    await untilLinked(b);
    a.setMembers({ ...b.hello, address: "127.0.0.1:1" });
    const [link] = a.network.peers();
    assert.deepEqual([link?.address, link?.connected], [b.address, true]);
    a.setMembers(b.hello);
    assert.equal(a.network.peers()[0]?.connected, true);
  });

  test("is not opened to this node's own address, where a member was that this node replaces", async () => {
    await using a = await openPeer("a");
    const former = { ...helloOf("a", a.address), directory: "5c".repeat(16) };
    a.setMembers(former);
    assert.deepEqual(a.network.peers(), []);
    assert.ok(a.lines.every(({ message: text }) => !/itself|cannot be linked/.test(text)));
  });
});

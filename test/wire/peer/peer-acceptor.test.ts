import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { prng } from "../../../src/lib/prng.ts";
import { type Clock, systemClock } from "../../../src/lib/time/clock.ts";
import { peerIdOfHello } from "../../../src/peer/handshake/introduction.ts";
import { encodeMessage } from "../../../src/peer/wire/message-codec.ts";
import { encodePeerFrame, preamble } from "../../../src/peer/wire/peer-frame.ts";
import { message } from "../../../src/raft/mod.ts";
import { pack } from "../../../src/replication/storage/msgpack.ts";
import { helloOf } from "../../support/peer/peer-hello.ts";
import { until } from "../../support/until.ts";
import { FakeCaller } from "./fake-caller.ts";
import { openPeer } from "./peer-node.ts";

describe("the acceptor of peers", () => {
  test("refuses a channel with the reason, and logs at most two refusals a second", async () => {
    let aheadMs = 0;
    const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
    await using a = await openPeer("a", { clock });
    const known = helloOf("b", "127.0.0.1:1");
    a.setMembers(known);
    const cases = [
      [helloOf("b", "h:1", { directory: "0".repeat(32) }), "other-directory"],
      [helloOf("c", "h:1", { clusterId: "c2" }), "other-cluster"],
      [helloOf("c", "h:1", { clusterId: undefined }), "no-cluster"],
    ] as const;
    for (const [hello] of cases) {
      using caller = new FakeCaller(a.port);
      caller.introduce("control", hello);
      await until("it is refused", () => caller.received("refusal").length === 1 && caller.closed);
      assert.equal(caller.received("welcome").length, 0);
    }
    const logged = (): unknown[] =>
      a.lines
        .filter(({ level, facts }) => level === "warn" && "reason" in facts)
        .map(({ facts }) => facts["reason"]);
    assert.deepEqual(logged(), ["other-directory", "other-cluster"]);
    aheadMs = 1_000;
    using caller = new FakeCaller(a.port);
    caller.introduce("control", cases[0][0]);
    await until("it is logged", () => logged().length === 3);
    assert.equal(a.lines.findLast(({ facts }) => "unlogged" in facts)?.facts["unlogged"], 1);
  });

  test("refuses another protocol version with both versions", async () => {
    await using a = await openPeer("a");
    using caller = new FakeCaller(a.port);
    const head = pack({ protocol: 2, group: "default", lane: "visit", hello: helloOf("b", "h:1") });
    caller.send([preamble, ...encodePeerFrame("hello", head).chunks]);
    await until("it is refused", () => caller.received("refusal").length === 1);
    assert.match(
      Buffer.from(caller.received("refusal")[0]!.head).toString(),
      /other-version.*protocol 2.*this node 1/s,
    );
  });

  test("closes a connection that sends no introduction in time", async () => {
    await using a = await openPeer("a", { limits: { handshakeMs: 50 } });
    using caller = new FakeCaller(a.port);
    await until("it is closed", () => caller.closed);
  });

  test("closes connections without an introduction to make room for members", async () => {
    await using a = await openPeer("a", { limits: { incomingMax: 4 } });
    const silent = Array.from({ length: 10 }, () => new FakeCaller(a.port));
    await until(
      "those beyond the limit are closed",
      () => silent.filter(({ closed }) => closed).length === 6,
    );
    const members = ["b", "c", "d", "e"].map((name) => ({
      caller: new FakeCaller(a.port),
      hello: helloOf(name, "h:1"),
    }));
    for (const { caller, hello } of members) {
      caller.introduce("control", hello);
      await until("it is accepted", () => caller.received("welcome").length === 1);
    }
    assert.ok(silent.every(({ closed }) => closed));
    // Channels of members are not closed for other connections.
    using late = new FakeCaller(a.port);
    await until("it is rejected", () => late.closed);
    assert.ok(members.every(({ caller }) => !caller.closed));
    for (const { caller } of members) caller[Symbol.dispose]();
  });

  test("rejects connections beyond the limit", async () => {
    await using a = await openPeer("a", { limits: { incomingMax: 2 } });
    const callers = [1, 2, 3].map(() => new FakeCaller(a.port));
    await until("one is closed", () => callers.filter(({ closed }) => closed).length === 1);
    for (const caller of callers) caller[Symbol.dispose]();
  });

  test("closes the old connection of a channel when the peer opens a new one", async () => {
    await using a = await openPeer("a");
    const hello = helloOf("b", "h:1");
    using first = new FakeCaller(a.port);
    first.introduce("control", hello);
    await until("it is accepted", () => first.received("welcome").length === 1);
    using bulk = new FakeCaller(a.port);
    bulk.introduce("bulk", hello);
    using second = new FakeCaller(a.port);
    second.introduce("control", hello);
    await until("the old one is closed", () => first.closed);
    await until(
      "the new ones are accepted",
      () => second.received("welcome").length + bulk.received("welcome").length === 2,
    );
    assert.equal(bulk.closed || second.closed, false);
  });

  test("passes on only messages from their sender and to this node", async () => {
    await using a = await openPeer("a");
    const [b, c] = [helloOf("b", "127.0.0.1:1"), helloOf("c", "127.0.0.1:1")];
    a.setMembers(b, c);
    using caller = new FakeCaller(a.port);
    caller.introduce("control", b);
    const own = peerIdOfHello(a.hello);
    const [from, other] = [peerIdOfHello(b), peerIdOfHello(c)];
    caller.send(
      [
        message("vote-response", own, { from: other, term: 1 }),
        message("vote-response", other, { from, term: 2 }),
        message("transfer-leader", own, { from: other, term: 3 }),
        message("vote-response", own, { from, term: 4 }),
      ].flatMap((each) => encodeMessage(each).chunks),
    );
    await until("the last one has arrived", () => a.raft.messages.length === 2);
    assert.deepEqual(
      a.raft.messages.map(({ type, term }) => [type, term]),
      [
        ["transfer-leader", 3],
        ["vote-response", 4],
      ],
    );
  });

  test("closes a connection with a frame that its purpose does not allow", async () => {
    await using a = await openPeer("a");
    const hello = helloOf("b", "h:1");
    const append = encodeMessage(message("append", 1, { from: 1 }));
    for (const purpose of ["control", "probe"] as const) {
      using caller = new FakeCaller(a.port);
      caller.introduce(purpose, hello);
      caller.send(append.chunks);
      await until("it is closed", () => caller.closed);
    }
    assert.ok(a.lines.some(({ facts }) => facts["why"] === "unexpected"));
  });

  test("keeps working after random bytes", async () => {
    await using a = await openPeer("a", { limits: { incomingMax: 1_000 } });
    const hello = helloOf("b", "h:1");
    const random = prng("noise");
    const purposes = ["control", "bulk", "probe"] as const;
    for (let round = 0; round < 60; round++) {
      using caller = new FakeCaller(a.port);
      const late = random.chance(0.8);
      if (late) caller.introduce(random.pick(purposes), hello);
      const noise = Uint8Array.from({ length: random.between(9, 400) }, () => random.between(0, 255));
      // A valid prefix, so that the head and body are decoded.
      if (late && random.chance(0.7)) {
        noise.set([0, 0, 0, random.between(0, 60), random.between(4, 10), 0, 0, random.between(0, 40)]);
      }
      caller.send([noise]);
      if (random.chance(0.5)) caller.socket.end();
      await turn();
    }
    await until("some of it was read", () => a.lines.length > 0);
    await using b = await openPeer("b", { serve: { ask: async () => "here" } });
    a.setMembers(b.hello);
    assert.equal(await a.network.ask(b.address, "ping", null), "here");
  });
});

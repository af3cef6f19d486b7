import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../src/fault.ts";
import { prng } from "../../src/lib/prng.ts";
import { delay, systemClock } from "../../src/lib/time/clock.ts";
import { encodeMessage } from "../../src/peer/wire/message-codec.ts";
import { encodePeerFrame, preamble } from "../../src/peer/wire/peer-frame.ts";
import { message } from "../../src/raft/mod.ts";
import { pack } from "../../src/replication/entries.ts";
import { FakeCaller, FakePeer, helloOf, numberOf } from "../support/fake-peer.ts";
import { openPeer } from "../support/peer-node.ts";
import { until } from "../support/replicas.ts";
import { listen, portOf } from "../support/socket-cluster.ts";

const faultOf = async (work: Promise<unknown>): Promise<Fault> => {
  const reason = await work.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  assert.ok(reason instanceof Fault, String(reason));
  return reason;
};

describe("probing a node", () => {
  test("tells who is there", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", {}, { clusterId: undefined, configured: false, version: "9.9" });
    const hello = await a.network.probe(b.address);
    assert.deepEqual(hello, { ...b.hello, wallMs: hello.wallMs });
    assert.ok(Math.abs(hello.wallMs - Date.now()) < 60_000);
  });

  test("tells why it is refused, by reason", async () => {
    await using a = await openPeer("a");
    await using stranger = await openPeer("b", {}, { clusterId: "c2" });
    await using closed = await openPeer("c");
    closed.refuse = "the certificate is of node x";
    const other = await faultOf(a.network.probe(stranger.address));
    assert.equal(other.kind, "failed-precondition");
    assert.equal(other.facts["reason"], "other-cluster");
    const refused = await faultOf(a.network.probe(closed.address));
    assert.equal(refused.kind, "permission-denied");
    assert.equal(refused.message, "the certificate is of node x");
    const self = await faultOf(a.network.probe(a.address));
    assert.equal(self.facts["reason"], "self");
  });

  test("finds nobody, somebody who says nothing, and somebody who speaks something else", async () => {
    await using a = await openPeer("a");
    const gone = await openPeer("b");
    await gone[Symbol.asyncDispose]();
    const nobody = await faultOf(a.network.probe(gone.address));
    assert.equal(nobody.kind, "unavailable");
    assert.equal(nobody.written, "no");
    assert.equal(nobody.facts["code"], "ECONNREFUSED");
    await using mute = await FakePeer.open("m");
    mute.mute = true;
    const silent = await faultOf(a.network.probe(mute.hello.address, { timeoutMs: 50 }));
    assert.equal(silent.kind, "unavailable");
    const web = await listen(0, (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const wrong = await faultOf(a.network.probe(`127.0.0.1:${portOf(web)}`));
    web.close();
    assert.equal(wrong.kind, "bad-request");
    assert.equal(wrong.facts["why"], "preamble");
  });

  test("is bounded: too many at once are refused", async () => {
    await using a = await openPeer("a", { limits: { visitsMax: 2 } });
    await using mute = await FakePeer.open("m");
    mute.mute = true;
    const probes = [1, 2, 3].map(() => faultOf(a.network.probe(mute.hello.address, { timeoutMs: 100 })));
    assert.deepEqual(
      (await Promise.all(probes)).map(({ kind }) => kind),
      ["unavailable", "unavailable", "overloaded"],
    );
  });
});

describe("asking a node", () => {
  test("carries values both ways, and tells who asks", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", {
      serve: {
        ask: async (verb, body, from) => ({ verb, body, from: from.name, bytes: Uint8Array.of(1, 2) }),
      },
    });
    const answer = await a.network.ask(b.address, "join", { name: "a", list: [1, "2", null, true] });
    assert.deepEqual(answer, {
      verb: "join",
      body: { name: "a", list: [1, "2", null, true] },
      from: "a",
      bytes: Uint8Array.of(1, 2),
    });
  });

  test("goes over the link where there is one", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", { serve: { ask: async () => "yes" } });
    a.know(b.hello);
    await until("they are linked", () => a.network.peers()[0]?.connected === true);
    b.refuse = "nobody new";
    assert.equal(await a.network.ask(b.address, "status", null), "yes");
  });

  test("hands the service's fault back with its facts", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", {
      serve: {
        ask: () =>
          Promise.reject(
            new Fault("failed-precondition", {
              message: "not now",
              facts: { records: 2 },
              cause: new Error("x"),
            }),
          ),
      },
    });
    const fault = await faultOf(a.network.ask(b.address, "leave", {}));
    assert.equal(fault.kind, "failed-precondition");
    assert.equal(fault.message, "not now");
    assert.deepEqual(fault.facts, { records: 2 });
  });

  test("an answer that is no plain value is a fault, not a silence", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", { serve: { ask: async () => new Date(0) } });
    assert.equal((await faultOf(a.network.ask(b.address, "when", null))).kind, "bad-request");
    assert.equal((await faultOf(a.network.ask(b.address, "when", new Date(0)))).kind, "bad-request");
  });

  test("ends when time is up: unknown once it was sent; and the service is told", async () => {
    await using a = await openPeer("a");
    let aborted = false;
    await using b = await openPeer("b", {
      serve: {
        ask: (_verb, _body, _from, signal) =>
          new Promise(() => {
            signal.addEventListener("abort", () => {
              aborted = true;
            });
          }),
      },
    });
    const fault = await faultOf(
      a.network.ask(b.address, "wait", null, { deadlineMs: performance.now() + 80 }),
    );
    assert.equal(fault.kind, "deadline");
    assert.equal(fault.written, "unknown");
    await until("the service was told", () => aborted);
    const late = await faultOf(a.network.ask(b.address, "wait", null, { deadlineMs: performance.now() - 1 }));
    assert.equal(late.written, "no");
  });

  test("the service is told when the asker is gone", async () => {
    let aborted = false;
    await using b = await openPeer("b", {
      serve: {
        ask: (_verb, _body, _from, signal) =>
          new Promise(() => {
            signal.addEventListener("abort", () => {
              aborted = true;
            });
          }),
      },
    });
    const a = await openPeer("a");
    a.know(b.hello);
    await until("they are linked", () => a.network.peers()[0]?.connected === true);
    const asked = faultOf(a.network.ask(b.address, "wait", null, { deadlineMs: performance.now() + 60_000 }));
    await delay(systemClock, 20);
    await a[Symbol.asyncDispose]();
    assert.equal((await asked).written, "unknown");
    await until("the service was told", () => aborted);
  });
});

describe("the door for peers", () => {
  test("refuses a lane of Raft's by reason, and says so in the log, a few times a second", async () => {
    await using a = await openPeer("a");
    const known = helloOf("b", "127.0.0.1:1");
    a.know(known);
    const cases = [
      [helloOf("b", "h:1", { directory: "0".repeat(32) }), "other-directory"],
      [helloOf("c", "h:1", { clusterId: "c2" }), "other-cluster"],
      [helloOf("c", "h:1", { clusterId: undefined }), "no-cluster"],
    ] as const;
    for (const [hello] of cases) {
      using caller = new FakeCaller(a.port);
      caller.greet("control", hello);
      await until("it is refused", () => caller.got("refusal").length === 1 && caller.closed);
      assert.equal(caller.got("welcome").length, 0);
    }
    const told = (): unknown[] =>
      a.lines
        .filter(({ level, facts }) => level === "warn" && "reason" in facts)
        .map(({ facts }) => facts["reason"]);
    assert.deepEqual(told(), ["other-directory", "other-cluster"]);
    await delay(systemClock, 1_050);
    using caller = new FakeCaller(a.port);
    caller.greet("control", cases[0][0]);
    await until("it is logged", () => told().length === 3);
    assert.equal(a.lines.findLast(({ facts }) => "unlogged" in facts)?.facts["unlogged"], 1);
  });

  test("another version is refused with both named", async () => {
    await using a = await openPeer("a");
    using caller = new FakeCaller(a.port);
    const head = pack({ protocol: 2, group: "default", lane: "visit", hello: helloOf("b", "h:1") });
    caller.send([preamble, ...encodePeerFrame("hello", head).chunks]);
    await until("it is refused", () => caller.got("refusal").length === 1);
    assert.match(
      Buffer.from(caller.got("refusal")[0]!.head).toString(),
      /other-version.*protocol 2.*this node 1/s,
    );
  });

  test("who says nothing is sent away", async () => {
    await using a = await openPeer("a", { limits: { handshakeMs: 50 } });
    using caller = new FakeCaller(a.port);
    await until("it is closed", () => caller.closed);
  });

  test("who says nothing keeps no member out, however many they are", async () => {
    await using a = await openPeer("a", { limits: { incomingMax: 4 } });
    const silent = Array.from({ length: 10 }, () => new FakeCaller(a.port));
    await until("most are sent away", () => silent.filter(({ closed }) => closed).length === 6);
    const members = ["b", "c", "d", "e"].map((name) => ({
      caller: new FakeCaller(a.port),
      hello: helloOf(name, "h:1"),
    }));
    for (const { caller, hello } of members) {
      caller.greet("control", hello);
      await until("it is let in", () => caller.got("welcome").length === 1);
    }
    assert.ok(silent.every(({ closed }) => closed));
    // Members are not sent away for others.
    using late = new FakeCaller(a.port);
    await until("it is turned away", () => late.closed);
    assert.ok(members.every(({ caller }) => !caller.closed));
    for (const { caller } of members) caller[Symbol.dispose]();
  });

  test("too many connections are turned away", async () => {
    await using a = await openPeer("a", { limits: { incomingMax: 2 } });
    const callers = [1, 2, 3].map(() => new FakeCaller(a.port));
    await until("one is closed", () => callers.filter(({ closed }) => closed).length === 1);
    for (const caller of callers) caller[Symbol.dispose]();
  });

  test("a caller that connects anew takes the place of its old connection", async () => {
    await using a = await openPeer("a");
    const hello = helloOf("b", "h:1");
    using first = new FakeCaller(a.port);
    first.greet("control", hello);
    await until("it is let in", () => first.got("welcome").length === 1);
    using bulk = new FakeCaller(a.port);
    bulk.greet("bulk", hello);
    using second = new FakeCaller(a.port);
    second.greet("control", hello);
    await until("the old one is closed", () => first.closed);
    await until(
      "the new ones are let in",
      () => second.got("welcome").length + bulk.got("welcome").length === 2,
    );
    assert.equal(bulk.closed || second.closed, false);
  });

  test("a message counts as its sender's only, and only when it is for this node", async () => {
    await using a = await openPeer("a");
    const [b, c] = [helloOf("b", "127.0.0.1:1"), helloOf("c", "127.0.0.1:1")];
    a.know(b, c);
    using caller = new FakeCaller(a.port);
    caller.greet("control", b);
    const own = numberOf(a.hello);
    const [from, other] = [numberOf(b), numberOf(c)];
    caller.send(
      [
        message("vote-response", own, { from: other, term: 1 }),
        message("vote-response", other, { from, term: 2 }),
        message("transfer-leader", own, { from: other, term: 3 }),
        message("vote-response", own, { from, term: 4 }),
      ].flatMap((each) => encodeMessage(each).chunks),
    );
    await until("the last one is there", () => a.told.messages.length === 2);
    assert.deepEqual(
      a.told.messages.map(({ type, term }) => [type, term]),
      [
        ["transfer-leader", 3],
        ["vote-response", 4],
      ],
    );
  });

  test("what does not belong on a lane ends it", async () => {
    await using a = await openPeer("a");
    const hello = helloOf("b", "h:1");
    const append = encodeMessage(message("append", 1, { from: 1 }));
    for (const lane of ["control", "visit"] as const) {
      using caller = new FakeCaller(a.port);
      caller.greet(lane, hello);
      caller.send(append.chunks);
      await until("it is closed", () => caller.closed);
    }
    assert.ok(a.lines.some(({ facts }) => facts["why"] === "unexpected"));
  });

  test("whatever noise comes in, the node goes on", async () => {
    await using a = await openPeer("a", { limits: { incomingMax: 1_000 } });
    const hello = helloOf("b", "h:1");
    const random = prng("noise at the door");
    const lanes = ["control", "bulk", "visit"] as const;
    for (let round = 0; round < 60; round++) {
      using caller = new FakeCaller(a.port);
      const late = random.chance(0.8);
      if (late) caller.greet(random.pick(lanes), hello);
      const noise = Uint8Array.from({ length: random.between(9, 400) }, () => random.between(0, 255));
      // A sound prefix, so that what follows is looked at.
      if (late && random.chance(0.7)) {
        noise.set([0, 0, 0, random.between(0, 60), random.between(4, 10), 0, 0, random.between(0, 40)]);
      }
      caller.send([noise]);
      if (random.chance(0.5)) caller.socket.end();
      await delay(systemClock, 1);
    }
    await until("it has read all", () => a.lines.length > 0);
    await using b = await openPeer("b", { serve: { ask: async () => "here" } });
    a.know(b.hello);
    assert.equal(await a.network.ask(b.address, "ping", null), "here");
  });
});

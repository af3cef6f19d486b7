import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Fault } from "../../../src/fault.ts";
import { decodeRequest } from "../../../src/peer/wire/request-codec.ts";
import { message } from "../../../src/raft/mod.ts";
import { run } from "../../support/log/logs.ts";
import { faultOf } from "../../support/peer/fault-of.ts";
import { until } from "../../support/until.ts";
import { openPeer, untilLinked } from "./peer-node.ts";
import { entryOfSize, openPair } from "./peer-pair.ts";

const mebibyte = 1024 * 1024;

describe("a forwarded append", () => {
  test("sends all options of the call, and returns the result", async () => {
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
    a.setMembers(b.hello);
    await untilLinked(a);
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

  test("gets its own response when many are sent at the same time", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    let next = 0;
    b.append = async ({ count }) => {
      const firstOffset = next;
      next += count;
      // Some take longer than others.
      if (firstOffset % 3 === 0) for (let turns = firstOffset % 7; turns > 0; turns--) await turn();
      return { firstOffset, count, timestampMs: 1, duplicate: false };
    };
    a.setMembers(b.hello);
    await untilLinked(a);
    const answers = await Promise.all(Array.from({ length: 500 }, () => a.network.append("b", run("x"), {})));
    assert.deepEqual(
      answers.map(({ firstOffset }) => firstOffset),
      Array.from({ length: 500 }, (_, at) => at),
    );
  });
});

describe("a forwarded append that the leader refuses", () => {
  test("needs the permission at the leader too: if it is refused there, it is not written", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", {
      authorize: ({ subject }) => {
        if (subject !== "alice") throw new Fault("permission-denied", { facts: { subject } });
      },
    });
    let appends = 0;
    b.append = async ({ count }) => ({ firstOffset: appends++, count, timestampMs: 1, duplicate: false });
    a.setMembers(b.hello);
    await untilLinked(a);
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

  test("is refused at the leader if its records are invalid", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    a.setMembers(b.hello);
    await untilLinked(a);
    const sound = run("x");
    const fault = await faultOf(a.network.append("b", { ...sound, count: 3 }, {}));
    assert.equal(fault.kind, "bad-request");
    const broken = await faultOf(a.network.append("b", { bytes: Uint8Array.of(0x0a, 9, 1), count: 1 }, {}));
    assert.equal(broken.kind, "bad-record");
    assert.equal(broken.written, "no");
  });

  test("is refused as not written if the leader already has its maximum number of requests", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", { limits: { requestsMax: 3 } });
    const { promise: open, resolve: go } = Promise.withResolvers<void>();
    b.append = async ({ count }) => {
      await open;
      return { firstOffset: 0, count, timestampMs: 1, duplicate: false };
    };
    a.setMembers(b.hello);
    await untilLinked(a);
    const appends = Array.from({ length: 5 }, () => a.network.append("b", run("x"), {}).catch(Fault.from));
    const early = await Promise.race(appends);
    assert.ok(early instanceof Fault && early.kind === "overloaded" && early.written === "no");
    go();
    const ended = await Promise.all(appends);
    assert.equal(ended.filter((each) => each instanceof Fault).length, 2);
  });

  test("is refused as not written if the node is not a member of the leader's configuration", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    await using c = await openPeer("c");
    b.setMembers(c.hello);
    a.setMembers(b.hello);
    await untilLinked(a);
    const fault = await faultOf(a.network.append("b", run("x"), {}));
    assert.deepEqual([fault.kind, fault.written], ["failed-precondition", "no"]);
    assert.match(fault.message, /a is not a member/);
    b.setMembers(a.hello, c.hello);
    await a.network.append("b", run("x"), {});
  });
});

describe("a forwarded append whose connection or deadline ends", () => {
  test("is not written if the leader is unknown or unreachable", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b");
    await b[Symbol.asyncDispose]();
    a.setMembers(b.hello);
    await until("it was dialed", () => a.raft.connectionsRefused.length > 1);
    for (const name of ["b", "unknown"]) {
      const fault = await faultOf(a.network.append(name, run("x"), {}));
      assert.equal(fault.kind, "unavailable", name);
      assert.equal(fault.written, "no");
      assert.equal(fault.retry, true);
    }
  });

  test("has an unknown outcome if the connection ends after it was sent, and is not sent again", async () => {
    await using pair = await openPair();
    const { node: a, peer } = pair;
    const asked = faultOf(a.network.append("b", run("x"), {}));
    await until("the request has arrived", () => peer.frames("bulk", "request").length === 1);
    assert.equal(decodeRequest(peer.frames("bulk", "request")[0]!).verb, "append");
    peer.last("bulk").socket.destroy();
    const fault = await asked;
    assert.equal(fault.kind, "interrupted");
    assert.equal(fault.written, "unknown");
    await untilLinked(a);
    const later = a.network.append("b", run("later"), {}).catch(() => undefined);
    await until("a later request has arrived", () => peer.frames("bulk", "request").length > 1);
    assert.equal(peer.frames("bulk", "request").length, 2, "the first one is not sent again");
    peer.last("bulk").socket.destroy();
    await later;
  });

  test("is not written if the connection ends while it is queued", async () => {
    const bulk = { countMax: 1_000, bytesMax: 64 * mebibyte };
    await using pair = await openPair({ limits: { bulk, silentTicksMax: 1_000 } }, (peer) => {
      peer.stalls = "bulk";
    });
    const { node: a, peer, from, to } = pair;
    const large = entryOfSize(1, 3 * mebibyte);
    // More than the buffers of both sockets take while the peer does not read.
    for (let n = 0; n < 16; n++) a.network.send(message("append", to, { from, term: 1, entries: [large] }));
    const asked = faultOf(a.network.append("b", run("x"), {}));
    await turn();
    peer.last("bulk").socket.destroy();
    const fault = await asked;
    assert.equal(fault.kind, "unavailable");
    assert.equal(fault.written, "no");
  });

  test("fails at its deadline: with an unknown outcome if it was sent, else as not written, and it is not sent later", async () => {
    await using pair = await openPair({ limits: { bulk: { countMax: 1_000, bytesMax: 64 * mebibyte } } });
    const { node: a, peer, from, to } = pair;
    const sent = await faultOf(a.network.append("b", run("x"), { deadlineMs: performance.now() + 50 }));
    assert.equal(sent.kind, "deadline");
    assert.equal(sent.written, "unknown");
    peer.last("bulk").socket.pause();
    for (let n = 0; n < 16; n++) {
      a.network.send(message("append", to, { from, term: 1, entries: [entryOfSize(1, 3 * mebibyte)] }));
    }
    const waited = await faultOf(a.network.append("b", run("x"), { deadlineMs: performance.now() + 50 }));
    assert.equal(waited.kind, "deadline");
    assert.equal(waited.written, "no");
    peer.last("bulk").socket.resume();
    await until("the appends have arrived", () => peer.frames("bulk", "append").length === 16);
    const later = a.network.append("b", run("later"), {}).catch(() => undefined);
    await until("a later request has arrived", () => peer.frames("bulk", "request").length > 1);
    assert.equal(peer.frames("bulk", "request").length, 2, "the queued one was not sent");
    peer.last("bulk").socket.destroy();
    await later;
  });

  test("fails when it is aborted: with an unknown outcome if it was sent, else as not written, and it is not sent later", async () => {
    await using pair = await openPair({ limits: { bulk: { countMax: 1_000, bytesMax: 64 * mebibyte } } });
    const { node: a, peer, from, to } = pair;
    const first = new AbortController();
    const sent = faultOf(a.network.append("b", run("x"), {}, first.signal));
    await until("the request has arrived", () => peer.frames("bulk", "request").length === 1);
    first.abort();
    assert.deepEqual([(await sent).kind, (await sent).written], ["interrupted", "unknown"]);
    peer.last("bulk").socket.pause();
    for (let n = 0; n < 16; n++) {
      a.network.send(message("append", to, { from, term: 1, entries: [entryOfSize(1, 3 * mebibyte)] }));
    }
    const second = new AbortController();
    const waited = faultOf(a.network.append("b", run("x"), {}, second.signal));
    await turn();
    second.abort();
    assert.deepEqual([(await waited).kind, (await waited).written], ["unavailable", "no"]);
    const refused = await faultOf(a.network.append("b", run("x"), {}, second.signal));
    assert.equal(refused.written, "no");
    peer.last("bulk").socket.resume();
    await until("the appends have arrived", () => peer.frames("bulk", "append").length === 16);
    const later = a.network.append("b", run("later"), {}).catch(() => undefined);
    await until("a later request has arrived", () => peer.frames("bulk", "request").length > 1);
    assert.equal(peer.frames("bulk", "request").length, 2, "the queued one was not sent");
    peer.last("bulk").socket.destroy();
    await later;
  });

  test("has an unknown outcome if the response is invalid", async () => {
    await using pair = await openPair({}, (peer) => {
      peer.result = ["what?"];
    });
    const fault = await faultOf(pair.node.network.append("b", run("x"), {}));
    assert.equal(fault.kind, "unknown");
    assert.equal(fault.written, "unknown");
  });
});

test("a request about a named log is not sent to a leader of an earlier version, which would end the connection", async () => {
  await using a = await openPeer("a");
  await using b = await openPeer("b", {}, { level: 0 });
  b.append = async (given) => ({ firstOffset: 7, count: given.count, timestampMs: 9, duplicate: false });
  a.setMembers(b.hello);
  await untilLinked(a);
  const log = { name: "orders" };
  for (const asked of [
    () => a.network.append("b", run("x"), { log }),
    () => a.network.trim("b", 5, { log }),
    () => a.network.changeLog("b", { kind: "delete", log }, {}),
  ]) {
    const fault = await faultOf(asked());
    assert.deepEqual([fault.kind, fault.written, fault.facts["members"]], ["failed-precondition", "no", "b"]);
  }
  assert.equal((await a.network.append("b", run("x"), {})).firstOffset, 7, "the connection stays");
});

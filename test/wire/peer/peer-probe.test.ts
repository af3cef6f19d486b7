import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { faultOf } from "../../support/peer/fault-of.ts";
import { listen, portOf } from "../../support/peer/socket-cluster.ts";
import { until } from "../../support/until.ts";
import { FakePeer } from "./fake-peer.ts";
import { openPeer } from "./peer-node.ts";

describe("probing a node", () => {
  test("returns the introduction of the node at the address", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", {}, { clusterId: undefined, configured: false, version: "9.9" });
    const hello = await a.network.probe(b.address);
    assert.deepEqual(hello, { ...b.hello, wallMs: hello.wallMs });
    assert.ok(Math.abs(hello.wallMs - Date.now()) < 60_000);
  });

  test("fails with the reason if it is refused", async () => {
    await using a = await openPeer("a");
    await using stranger = await openPeer("b", {}, { clusterId: "c2" });
    await using closed = await openPeer("c");
    closed.denied = "the certificate is of node x";
    const other = await faultOf(a.network.probe(stranger.address));
    assert.equal(other.kind, "failed-precondition");
    assert.equal(other.facts["reason"], "other-cluster");
    const refused = await faultOf(a.network.probe(closed.address));
    assert.equal(refused.kind, "permission-denied");
    assert.equal(refused.message, "the certificate is of node x");
    const self = await faultOf(a.network.probe(a.address));
    assert.equal(self.facts["reason"], "self");
  });

  test("fails if no process listens, if the node sends nothing, and if it uses another protocol", async () => {
    await using a = await openPeer("a");
    const gone = await openPeer("b");
    await gone[Symbol.asyncDispose]();
    const unreachable = await faultOf(a.network.probe(gone.address));
    assert.equal(unreachable.kind, "unavailable");
    assert.equal(unreachable.written, "no");
    assert.equal(unreachable.facts["code"], "ECONNREFUSED");
    await using peer = await FakePeer.open("m");
    peer.silent = true;
    const silent = await faultOf(a.network.probe(peer.hello.address, { timeoutMs: 50 }));
    assert.equal(silent.kind, "unavailable");
    const web = await listen(0, (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const wrong = await faultOf(a.network.probe(`127.0.0.1:${portOf(web)}`));
    web.close();
    assert.equal(wrong.kind, "bad-request");
    assert.equal(wrong.facts["why"], "preamble");
  });

  test("is refused if too many run at the same time", async () => {
    await using a = await openPeer("a", { limits: { probesMax: 2 } });
    await using peer = await FakePeer.open("m");
    peer.silent = true;
    const probes = [1, 2, 3].map(() => faultOf(a.network.probe(peer.hello.address, { timeoutMs: 100 })));
    assert.deepEqual(
      (await Promise.all(probes)).map(({ kind }) => kind),
      ["unavailable", "unavailable", "overloaded"],
    );
  });
});

describe("a request to a node", () => {
  test("sends plain values in both directions, and the sender's introduction", async () => {
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

  test("uses the link if there is one", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", { serve: { ask: async () => "yes" } });
    a.setMembers(b.hello);
    await until("the link is open", () => a.network.peers()[0]?.connected === true);
    b.denied = "no new connections";
    assert.equal(await a.network.ask(b.address, "status", null), "yes");
  });

  test("returns the fault of the service with its facts", async () => {
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

  test("fails if the request or the result is not a plain value", async () => {
    await using a = await openPeer("a");
    await using b = await openPeer("b", { serve: { ask: async () => new Date(0) } });
    assert.equal((await faultOf(a.network.ask(b.address, "when", null))).kind, "bad-request");
    assert.equal((await faultOf(a.network.ask(b.address, "when", new Date(0)))).kind, "bad-request");
  });

  test("fails at its deadline with an unknown outcome, and aborts the service's signal", async () => {
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
    await until("the service is aborted", () => aborted);
    const late = await faultOf(a.network.ask(b.address, "wait", null, { deadlineMs: performance.now() - 1 }));
    assert.equal(late.written, "no");
  });

  test("aborts the service's signal when the sender disconnects", async () => {
    let [started, aborted] = [false, false];
    await using b = await openPeer("b", {
      serve: {
        ask: (_verb, _body, _from, signal) =>
          new Promise(() => {
            started = true;
            signal.addEventListener("abort", () => {
              aborted = true;
            });
          }),
      },
    });
    const a = await openPeer("a");
    a.setMembers(b.hello);
    await until("the link is open", () => a.network.peers()[0]?.connected === true);
    const asked = faultOf(a.network.ask(b.address, "wait", null, { deadlineMs: performance.now() + 60_000 }));
    await until("the service has started", () => started);
    await a[Symbol.asyncDispose]();
    assert.equal((await asked).written, "unknown");
    await until("the service is aborted", () => aborted);
  });
});

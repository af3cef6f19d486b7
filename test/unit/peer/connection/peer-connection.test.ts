import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import type { Fault } from "../../../../src/fault.ts";
import { PeerConnection } from "../../../../src/peer/connection/peer-connection.ts";
import { encodePeerFrame } from "../../../../src/peer/wire/peer-frame.ts";

const queue = { countMax: 10, bytesMax: 1000 };

test("an exception of a frame handler ends only this connection, with a fault", async () => {
  const [near, far] = duplexPair();
  const closed = Promise.withResolvers<Fault>();
  const broken = new PeerConnection({
    socket: far,
    queue,
    onFrame: () => {
      throw new TypeError("boom");
    },
    onClosed: closed.resolve,
  });
  const caller = new PeerConnection({
    socket: near,
    queue,
    onFrame: () => undefined,
    onClosed: () => undefined,
  });
  caller.sendFirst(encodePeerFrame("hello", Buffer.alloc(1)));
  const fault = await closed.promise;
  assert.equal(fault.kind, "unknown");
  assert.match(fault.message, /boom/);
  assert.ok(fault.cause instanceof TypeError);
  assert.equal(broken.closed, true);
  assert.equal(far.destroyed, true);
});

test("the socket is destroyed even if onClosed throws", async () => {
  const [near, far] = duplexPair();
  new PeerConnection({
    socket: far,
    queue,
    onFrame: () => undefined,
    onClosed: () => {
      throw new Error("boom");
    },
  });
  const ended = new Promise((resolve) => far.once("close", resolve));
  near.end(Buffer.from("this is not the preamble of a peer"));
  await ended;
  assert.equal(far.destroyed, true);
});

import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import type { Fault } from "../../../../src/fault.ts";
import { PeerConnection } from "../../../../src/peer/connection/peer-connection.ts";
import { encodePeerFrame } from "../../../../src/peer/wire/peer-frame.ts";

const bounds = { countMax: 10, bytesMax: 1000 };

test("a frame whose handler throws ends the connection with a fault, and no other", async () => {
  const [near, far] = duplexPair();
  const closed = Promise.withResolvers<Fault>();
  const broken = new PeerConnection({
    socket: far,
    bounds,
    onFrame: () => {
      throw new TypeError("boom");
    },
    onClosed: closed.resolve,
  });
  const caller = new PeerConnection({
    socket: near,
    bounds,
    onFrame: () => undefined,
    onClosed: () => undefined,
  });
  caller.sendUrgently(encodePeerFrame("hello", Buffer.alloc(1)));
  const fault = await closed.promise;
  assert.equal(fault.kind, "unknown");
  assert.match(fault.message, /boom/);
  assert.ok(fault.cause instanceof TypeError);
  assert.equal(broken.closed, true);
  assert.equal(far.destroyed, true);
});

test("an owner that throws when it hears of the end does not keep the socket open", async () => {
  const [near, far] = duplexPair();
  new PeerConnection({
    socket: far,
    bounds,
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

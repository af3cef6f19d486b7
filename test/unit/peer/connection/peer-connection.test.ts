import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import type { Fault } from "../../../../src/fault.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { PeerConnection } from "../../../../src/peer/connection/peer-connection.ts";
import { encodePeerFrame } from "../../../../src/peer/wire/peer-frame.ts";

const queue = { countMax: 10, bytesMax: 1000 };

test("an exception of a frame handler ends only this connection, with a fault", async () => {
  const [near, far] = duplexPair();
  const closed = Promise.withResolvers<Fault>();
  const broken = new PeerConnection({
    socket: far,
    queue,
    clock: systemClock,
    onFrame: () => {
      throw new TypeError("boom");
    },
    onClosed: closed.resolve,
  });
  const caller = new PeerConnection({
    socket: near,
    queue,
    clock: systemClock,
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

test("a frame leaves at the end of the turn, at once with a flush, and in the next turn if it is patient", async () => {
  const [near, far] = duplexPair();
  const written: number[] = [];
  const write = near.write.bind(near) as (chunk: Uint8Array) => boolean;
  near.write = ((chunk: Uint8Array) => {
    written.push(chunk.length);
    return write(chunk);
  }) as typeof near.write;
  const connection = new PeerConnection({
    socket: near,
    queue,
    clock: systemClock,
    onFrame: () => undefined,
    onClosed: () => undefined,
  });
  connection.completeHandshake();
  const { length } = written;
  const frame = encodePeerFrame("ping", Buffer.alloc(1));
  connection.send(frame);
  assert.equal(written.length, length);
  connection.flush();
  const once = written.length;
  assert.ok(once > length);
  await Promise.resolve();
  connection.flush();
  assert.equal(written.length, once);
  connection.send(frame);
  await Promise.resolve();
  assert.ok(written.length > once);
  const twice = written.length;
  connection.send({ ...frame, isPatient: true });
  await Promise.resolve();
  connection.flush();
  assert.equal(written.length, twice);
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(written.length > twice);
  far.destroy();
  near.destroy();
});

test("the socket is destroyed even if onClosed throws", async () => {
  const [near, far] = duplexPair();
  new PeerConnection({
    socket: far,
    queue,
    clock: systemClock,
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

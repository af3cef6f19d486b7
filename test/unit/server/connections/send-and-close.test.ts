import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { sendAndClose } from "../../../../src/server/connections/send-and-close.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

function sentAndClosed() {
  const sent: string[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write: (chunk, _encoding, done) => {
      sent.push(String(chunk));
      done();
    },
  });
  const time = new VirtualTime();
  sendAndClose(socket, "bye", time.clock());
  return { socket, sent, time };
}

test("the message is sent and the socket stays open for the client to read it", () => {
  const { socket, sent } = sentAndClosed();
  assert.deepEqual(sent, ["bye"]);
  assert.equal(socket.writableEnded, true);
  assert.equal(socket.destroyed, false);
});

test("a client that keeps the connection open is disconnected after a time", () => {
  const { socket, time } = sentAndClosed();
  time.step();
  assert.equal(socket.destroyed, true);
  assert.equal(time.now, 2000);
});

test("a client that keeps sending is disconnected after 16 MiB", () => {
  const { socket } = sentAndClosed();
  for (let sentBytes = 0; sentBytes <= 16; sentBytes++) socket.emit("data", Buffer.alloc(1024 * 1024));
  assert.equal(socket.destroyed, true);
});

import assert from "node:assert/strict";
import { Socket } from "node:net";
import { test } from "node:test";
import type { Server } from "node:tls";
import { localIdentity } from "../../../../src/access/mod.ts";
import { type Clock, systemClock } from "../../../../src/lib/time/clock.ts";
import { TlsHandshakes } from "../../../../src/server/tls/tls-handshakes.ts";
import { until } from "../../../support/until.ts";

/** Each handshake takes 5 ms of the clock. */
function open() {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
  const begun: Socket[] = [];
  const attach = (server: Server): void => {
    server.removeAllListeners("connection");
    server.on("connection", (socket: Socket) => {
      begun.push(socket);
      nowMs += 5;
    });
  };
  const handshakes = new TlsHandshakes(
    { serverOptions: () => ({}), attach, identityOf: () => localIdentity },
    {
      clock,
      handshakeMs: 1000,
      handshakesMax: 100,
      stalledMs: 1000,
      onSecure: () => undefined,
      guard: (_socket, work) => work(),
      drop: (socket) => socket.destroy(),
    },
  );
  return { handshakes, begun };
}

test("handshakes that arrive together begin in several turns of the event loop, in their order", async () => {
  const { handshakes, begun } = open();
  const sockets = Array.from({ length: 10 }, () => new Socket());
  for (const socket of sockets) handshakes.begin(socket);
  assert.ok(begun.length < 5, `${begun.length} began at once`);
  await until("all began", () => begun.length === 10);
  assert.deepEqual(begun, sockets);
});

test("a connection that was closed while it waited does not begin", async () => {
  const { handshakes, begun } = open();
  const sockets = Array.from({ length: 5 }, () => new Socket());
  for (const socket of sockets) handshakes.begin(socket);
  sockets[3]!.destroy();
  await until("the others began", () => begun.length === 4);
  assert.ok(!begun.includes(sockets[3]!));
});

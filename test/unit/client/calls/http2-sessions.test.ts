import assert from "node:assert/strict";
import { type AddressInfo, createServer, Socket } from "node:net";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Http2Sessions } from "../../../../src/client/calls/http2-sessions.ts";
import { defaultSessionSettings } from "../../../../src/client/http2-settings.ts";

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("a connection that is given up while the system refuses it does not end the process", async (t) => {
  const sessions = new Http2Sessions(`http://127.0.0.1:${await closedPort()}`, defaultSessionSettings, {});
  const uncaught: Error[] = [];
  const listener = (error: Error): number => uncaught.push(error);
  process.prependListener("uncaughtException", listener);
  t.after(() => process.off("uncaughtException", listener));
  // Gives up after the socket has failed and before the session reports it.
  const { destroy } = Socket.prototype;
  t.after(() => {
    Socket.prototype.destroy = destroy;
  });
  Socket.prototype.destroy = function (this: Socket, error?: Error & { code?: string }): Socket {
    const destroyed = destroy.call(this, error);
    if (error?.code === "ECONNREFUSED") process.nextTick(() => sessions.abort());
    return destroyed;
  };
  await assert.rejects(sessions.request("POST", "/x", {}, {}), /aborted|ECONNREFUSED/);
  for (let turns = 0; turns < 5; turns++) await nextTurn();
  assert.deepEqual(uncaught, []);
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { awaitFirstBytes } from "../../../../src/server/connections/first-bytes.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

/** A connected pair, and what the wait for 3 bytes on the server's side calls. */
async function waitingPair() {
  const server = createServer({ pauseOnConnect: false }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as { port: number }).port, "127.0.0.1");
  const [socket] = (await once(server, "connection")) as [Socket];
  const time = new VirtualTime();
  let onTimeout: () => void = () => undefined;
  const timedOut = new Promise<void>((resolve) => (onTimeout = resolve));
  const head = new Promise<Buffer>((resolve) =>
    awaitFirstBytes(socket, {
      clock: time.clock(),
      bytes: 3,
      timeoutMs: 1000,
      onBytes: resolve,
      onTimeout,
      guard: (work) => work(),
    }),
  );
  return {
    ...{ client, socket, time, head, timedOut },
    [Symbol.dispose]() {
      client.destroy();
      socket.destroy();
      server.close();
    },
  };
}

test("the first bytes stay on the socket", async () => {
  using pair = await waitingPair();
  pair.client.write("ab");
  pair.client.write("cd");
  assert.match((await pair.head).toString(), /^abcd?$/);
  let text = "";
  while (text.length < 4) {
    text += String(pair.socket.read() ?? "");
    if (text.length < 4) await once(pair.socket, "readable");
  }
  assert.equal(text, "abcd");
});

test("a client that sends too little in time is reported", async () => {
  using pair = await waitingPair();
  pair.client.write("ab");
  pair.time.step();
  await pair.timedOut;
});

test("a client that ends early is disconnected", async () => {
  using pair = await waitingPair();
  pair.client.resume();
  pair.client.end("ab");
  await once(pair.socket, "close");
});

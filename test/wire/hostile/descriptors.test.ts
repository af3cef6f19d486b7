/** A node with few file descriptors: connections leave enough for the log. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { startNode } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";

const held: Socket[] = [];

/** Sends bytes and returns the response. */
async function ask(port: number, localAddress: string, bytes: string): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", localAddress }).on("error", () => undefined);
  held.push(socket);
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += String(chunk);
  });
  socket.write(bytes);
  await once(socket, "close");
  return text;
}

test("with more connections than descriptors the log still rolls its segments, and clients are refused with a reason", {
  timeout: 120_000,
}, async (t) => {
  const flags = ["--data-dir", join(scratch(t), "data"), "--segment-store-bytes-max", "2000"];
  const node = await startNode(t, flags, {}, undefined, 256);
  const port = Number(node.addr.split(":")[1]);
  assert.match(node.log(), /fewer connections than --connections-max are taken.*ulimit -n/);
  for (let at = 0; at < 300; at++) {
    const socket = connect({ port, host: "127.0.0.1" }).on("error", () => undefined);
    await once(socket, "connect");
    // Half of them say nothing, half begin a request of either version of HTTP.
    if (at % 2 === 0) socket.write(at % 4 === 0 ? "PRI" : "GET");
    held.push(socket);
  }
  const body = JSON.stringify({ record: { value: "x".repeat(400) } });
  const post = `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;
  for (let at = 0; at < 40; at++) {
    assert.match(await ask(port, "127.0.0.2", post), new RegExp(`^HTTP/1\\.1 200 .*"offset":${at}`, "s"));
  }
  for (const socket of held.splice(0)) socket.destroy();
  const greedy = Array.from({ length: 60 }, async () => {
    const answer = await ask(port, "127.0.0.3", "GET /?offset=0 HTTP/1.1\r\n");
    assert.match(answer, /^HTTP\/1\.1 429 .*--connections-(per-client-)?max/s);
  });
  await Promise.any(greedy);
  for (const socket of held) socket.destroy();
  const { status, err } = await node.kill("SIGTERM");
  assert.equal(status, 0, err);
  assert.doesNotMatch(err, /EMFILE/);
});

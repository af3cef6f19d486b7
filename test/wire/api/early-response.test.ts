/**
 * A response that ends before its request has arrived. The client gets all of it; the rest of the request is read or the
 * connection ends.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { createFastPath } from "../../../src/api/mod.ts";
import { serve } from "../../support/http/serve.ts";

const oversized = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
const compressed = Buffer.from([1, 0, 0, 0, 1, 0]);
const filler = Buffer.alloc(5_000_000, 0x78);
const requests: readonly (readonly [path: string, type: string, begin: Buffer])[] = [
  ["/log.v1.Log/ProduceBulk", "application/connect+proto", oversized],
  ["/log.v1.Log/ProduceBulk", "application/connect+json", compressed],
  ["/log.v1.Log/ConsumeStream", "application/connect+json", oversized],
  ["/log.v1.Log/ConsumeStream", "application/connect+proto", compressed],
  ["/log.v1.Log/Describe", "application/grpc-web+proto", oversized],
  ["/log.v1.Log/Describe", "application/grpc-web-text", Buffer.from("!!!!")],
  ["/log.v1.Log/Describe", "application/json", Buffer.alloc(0)],
  ["/log.v1.Log/ProduceStream", "application/connect+json", Buffer.alloc(0)],
  ["/log.v1.Log/Nothing", "application/json", Buffer.alloc(0)],
  ["/nowhere", "text/plain", Buffer.alloc(0)],
  ["/tail", "text/plain", Buffer.alloc(0)],
  ["/", "application/json", Buffer.alloc(0)],
];

test("when a body of 5 MB is refused early, the response is complete and the connection ends", async () => {
  await using served = await serve({ fastPath: createFastPath, requestBytesMax: 100_000 });
  for (const chunked of [false, true]) {
    for (const [path, type, begin] of requests) {
      const length = begin.length + filler.length;
      const socket = connect(served.port, "127.0.0.1");
      let text = "";
      socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
      const framing = chunked ? "transfer-encoding: chunked" : `content-length: ${length}`;
      socket.write(`POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\n${framing}\r\n\r\n`);
      if (chunked) socket.write(`${length.toString(16)}\r\n`);
      socket.write(begin);
      socket.write(filler);
      if (chunked) socket.write("\r\n0\r\n\r\n");
      // A TCP reset, which can lose a response, would be an error here.
      await once(socket, "close");
      const [head = "", body = ""] = text.split(/\r\n\r\n(.*)/s);
      assert.match(head, /^HTTP\/1\.1 \d{3} .*\r\nconnection: close/is, `${path} ${type}`);
      const end = /transfer-encoding: chunked/i.test(head)
        ? body.endsWith("0\r\n\r\n")
        : body.length === Number(/content-length: (\d+)/i.exec(head)?.[1]);
      assert.ok(end, `${path} ${type} ${text}`);
    }
  }
  assert.equal(served.log.next, 0);
});

test("a small body that is refused is read, and the connection serves the next request", async () => {
  await using served = await serve({ fastPath: createFastPath });
  const socket = connect(served.port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  for (const [path, type, begin] of requests.slice(0, 11)) {
    const body = begin.length === 0 ? Buffer.from("x") : begin;
    // Most of the body follows the response.
    const rest = Buffer.alloc(50_000, 0x78);
    const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\n`;
    text = "";
    socket.write(`${head}content-length: ${body.length + rest.length}\r\n\r\n`);
    socket.write(body);
    // JSON needs the whole body, so there the rest brings the response.
    if (type !== "application/json") while (text === "") await once(socket, "data");
    socket.write(rest);
    text = "";
    if (path === "/log.v1.Log/ProduceStream") break;
    socket.write("GET /?offset=x HTTP/1.1\r\nhost: localhost\r\n\r\n");
    while (!text.includes("offset must be")) await once(socket, "data");
  }
  socket.destroy();
});

test("a client that stops within a refused body is disconnected", {
  timeout: 30_000,
}, async () => {
  await using served = await serve();
  const ask = async (length: number): Promise<void> => {
    const socket = connect(served.port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", () => undefined);
    socket.write(`POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${length}\r\n\r\nx`);
    await once(socket, "close");
    assert.match(text, /^HTTP\/1\.1 404 .*"written":"no"\}\n$/s);
  };
  await Promise.all([1000, 5_000_000].map(ask));
});

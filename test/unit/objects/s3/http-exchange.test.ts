/** One request and its answer: their limits. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { HttpExchanger } from "../../../../src/objects/s3/http-exchange.ts";

let answer: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
const server = createServer((request, response) => answer(request, response));
before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const send = (changed: Partial<Parameters<HttpExchanger["send"]>[0]> = {}) =>
  new HttpExchanger(systemClock).send({
    ...{ method: "GET", headers: {}, body: [], answerBytesMax: 1000, limitMs: 30_000 },
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`),
    ...changed,
  });

test("an answer with its status, headers and body", async () => {
  answer = (_, response) => response.writeHead(418, { "x-a": "b" }).end("tea");
  const { status, headers, body } = await send();
  assert.deepEqual([status, headers["x-a"], Buffer.from(body).toString()], [418, "b", "tea"]);
});

test("a server that does not answer in time, or sends a byte now and then, is left", async () => {
  answer = () => undefined;
  await assert.rejects(send({ limitMs: 50 }), { message: "no answer in time" });
  answer = (_, response) => {
    const again = (): void => {
      if (response.destroyed) return;
      response.write("x");
      systemClock.after(5, again);
    };
    again();
  };
  await assert.rejects(send({ limitMs: 50 }), { message: "no answer in time" });
  // Its bytes are worth less time than it takes.
  await assert.rejects(send({ limitMs: 50, slowestBytesPerMs: 4 }), { message: "no answer in time" });
});

test("a large answer has the time that its bytes take", async () => {
  answer = (_, response) => {
    response.write("x".repeat(900));
    systemClock.after(200, () => response.end("y"));
  };
  await assert.rejects(send({ limitMs: 50 }), { message: "no answer in time" });
  const { body } = await send({ limitMs: 50, slowestBytesPerMs: 0.001 });
  assert.equal(body.length, 901);
});

test("an answer that is too large, or cut, is an error", async () => {
  answer = (_, response) => response.end(Buffer.alloc(1001));
  await assert.rejects(send(), { kind: "corrupt", message: /larger than 1000 bytes/ });
  answer = (request, response) => {
    response.writeHead(200, { "content-length": "500" });
    response.write("x", () => request.socket.destroy());
  };
  await assert.rejects(send());
});

test("an answer before the end of a large request counts", async () => {
  answer = (_, response) => response.writeHead(403).end("no");
  const { status } = await send({
    method: "PUT",
    headers: { "content-length": String(64 * 1024 * 1024) },
    body: [Buffer.alloc(1024 * 1024)],
  });
  assert.equal(status, 403);
});

test("a signal ends a request, and nobody at the address is an error", async () => {
  const stop = new AbortController();
  answer = () => stop.abort();
  await assert.rejects(send({ signal: stop.signal }), { name: "AbortError" });
  const unused = createServer();
  unused.listen(0, "127.0.0.1");
  await once(unused, "listening");
  const { port } = unused.address() as AddressInfo;
  unused.close();
  await once(unused, "close");
  await assert.rejects(send({ url: new URL(`http://127.0.0.1:${port}/`) }), { code: "ECONNREFUSED" });
});

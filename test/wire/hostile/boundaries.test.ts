/**
 * Whatever a handler of a connection throws ends that request or that connection, with one log line: the process and
 * the other connections go on.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectH2 } from "node:http2";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { localIdentity } from "../../../src/access/mod.ts";
import type { Router } from "../../../src/api/mod.ts";
import { H2Session } from "../../../src/http2/mod.ts";
import { noLogger, noTelemetry } from "../../../src/lib/telemetry.ts";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { HttpServers } from "../../../src/server/http/http-servers.ts";
import { curl } from "../../support/http/curl.ts";
import { serve } from "../../support/http/serve.ts";

const boom = (): never => {
  throw new TypeError("boom");
};

/** A logger that keeps its error lines. */
function errorLines() {
  const lines: string[] = [];
  const log = { ...noLogger, error: (_facts: object, message: string) => void lines.push(message) };
  return { lines, log };
}

/** A server whose connections are given to `take`. */
async function listening(take: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    take(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Sends an HTTP/2 request. Returns its status, or the code of its reset. */
async function askH2(url: string, path: string): Promise<number> {
  const session = connectH2(url);
  session.on("error", () => undefined);
  const stream = session.request({ ":path": path });
  let status: number | undefined;
  stream.on("response", (headers) => (status = headers[":status"]));
  stream.on("error", () => undefined);
  stream.resume();
  await new Promise((resolve) => stream.once("close", resolve));
  session.destroy();
  return status ?? stream.rstCode ?? -1;
}

test("a route that throws is 500, and the next request of the connection is served", async () => {
  const { lines, log } = errorLines();
  await using served = await serve({ telemetry: { ...noTelemetry, log }, pages: boom });
  const socket = connect(served.port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  socket.write("GET /ui/ HTTP/1.1\r\nhost: localhost\r\n\r\n");
  while (!text.endsWith("}\n")) await once(socket, "data");
  assert.match(text, /^HTTP\/1\.1 500 .*"written":"unknown"\}\n$/s);
  text = "";
  socket.write("GET /?offset=0 HTTP/1.1\r\nhost: localhost\r\n\r\n");
  while (!text.endsWith("}\n")) await once(socket, "data");
  assert.match(text, /^HTTP\/1\.1 404 /);
  socket.destroy();
  assert.equal(await askH2(served.url, "/ui/"), 500);
  assert.deepEqual(lines, ["a request failed", "a request failed"]);
});

test("a route that throws after its headers ends the response incomplete", async () => {
  const { lines, log } = errorLines();
  await using served = await serve({
    telemetry: { ...noTelemetry, log },
    pages: (exchange) => {
      exchange.respond(200, {});
      void exchange.write(Buffer.from("half"));
      return boom();
    },
  });
  await assert.rejects(curl(`${served.url}/ui/`), /aborted|ECONNRESET|socket hang up/);
  assert.equal(await askH2(served.url, "/ui/"), 200);
  assert.equal((await curl(`${served.url}/?offset=0`)).status, 404);
  assert.equal(lines.length, 2);
});

test("a router that throws ends the HTTP/1.1 connection, or resets the HTTP/2 stream", async () => {
  const { lines, log } = errorLines();
  let throws = true;
  const router: Router = {
    request: (exchange) => (throws ? boom() : exchange.send(200, {}, "well")),
    stream: (stream) => (throws ? boom() : stream.reset(8)),
    prepare: () => undefined,
    direct: () => false,
  };
  const servers = new HttpServers({ router, log });
  const caller = { identity: localIdentity, peer: "test", secure: false };
  const activity = { busy: () => undefined, idle: () => undefined };
  await using http1 = await listening((socket) => servers.serve("http1", socket, caller, activity));
  await using http2 = await listening((socket) => servers.serve("http2", socket, caller, activity));
  await assert.rejects(curl(http1.url), /ECONNRESET|socket hang up/);
  assert.equal(await askH2(http2.url, "/"), 2);
  throws = false;
  assert.equal((await curl(http1.url)).text, "well");
  assert.equal(await askH2(http2.url, "/"), 8);
  assert.deepEqual(lines, [
    "an HTTP/1.1 connection failed and is ended",
    "a request failed, its stream is reset",
  ]);
});

test("an error in the HTTP/2 code ends the connection with INTERNAL_ERROR", async () => {
  const { lines, log } = errorLines();
  let throws = false;
  const clock = { ...systemClock, monotonicMs: () => (throws ? boom() : systemClock.monotonicMs()) };
  await using server = await listening((socket) => {
    const options = { clock, log, serve: () => undefined, onClose: () => undefined };
    new H2Session(socket, options);
  });
  const session = connectH2(server.url);
  const gone = new Promise<number>((resolve) => session.on("goaway", resolve));
  session.on("error", () => undefined);
  await once(session, "remoteSettings");
  throws = true;
  for (let at = 0; at < 5000 && !session.destroyed; at++) session.ping(() => undefined);
  assert.equal(await gone, 2);
  session.destroy();
  throws = false;
  assert.ok(lines.length > 0);
});

test("a port handler that throws ends its connection, and the port goes on", async () => {
  const { lines, log } = errorLines();
  await using served = await serve({
    telemetry: { ...noTelemetry, log },
    handlers: { raft: boom, gossip: boom },
  });
  for (const first of ["a7000000", "00000000", "f4000000"]) {
    const socket = connect(served.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(Buffer.from(first, "hex"));
    await once(socket, "close");
  }
  assert.equal(lines.length, 3);
  assert.equal((await curl(`${served.url}/?offset=0`)).status, 404);
});

/** The one port: protocols, refusals and limits. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectH2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { createFastPath } from "../../../src/api/mod.ts";
import { encodeBlock } from "../../../src/http2/hpack/encode-block.ts";
import { NodeTls } from "../../../src/server/tls/node-tls.ts";
import { peerProtocol } from "../../../src/server/tls/peer-protocol.ts";
import { curl } from "../../support/http/curl.ts";
import { frame } from "../../support/http/h2-harness.ts";
import { type ServeOptions, serve } from "../../support/http/serve.ts";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Everything that a connection sends until it ends. */
async function heard(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => undefined);
  if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve));
  return Buffer.concat(chunks);
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

const get = "GET /?offset=0 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

test("a request that arrives byte by byte is served, and so are pipelined ones", async () => {
  await using served = await serve();
  const slow = await dial(served.port);
  const answer = heard(slow);
  for (const letter of get) {
    slow.write(letter);
    await pause(1);
  }
  assert.match((await answer).toString(), /^HTTP\/1\.1 404 /);
  const twice = await dial(served.port);
  const both = heard(twice);
  twice.write(get.replace("close", "keep-alive") + get);
  assert.equal((await both).toString().match(/HTTP\/1\.1 404/g)?.length, 2);
});

test("an HTTP/2 preface in pieces opens a session", async () => {
  await using served = await serve();
  const socket = await dial(served.port);
  for (const part of ["P", "RI", " * HTTP/2", ".0\r\n\r\nSM\r\n\r\n"]) {
    socket.write(part);
    await pause(5);
  }
  socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
  const [settings] = (await once(socket, "data")) as [Buffer];
  assert.equal(settings[3], 4);
  socket.destroy();
});

test("a connection with an unknown protocol is closed without a response", async () => {
  await using served = await serve();
  for (const bytes of [
    [0, 1, 2, 3],
    [0xa7, 1, 2],
    [0x20, 0x20, 0x20],
    [0xff, 0xff, 0xff],
    [0x16, 3, 1],
    [0xf4, 1, 2],
  ]) {
    const socket = await dial(served.port);
    socket.write(Uint8Array.from(bytes));
    assert.equal((await heard(socket)).length, 0);
  }
  const gibberish = await dial(served.port);
  gibberish.write("HELLO there\r\n\r\n");
  assert.match((await heard(gibberish)).toString(), /^HTTP\/1\.1 400 .*"code":"invalid_argument"/s);
});

test("raft and gossip connections are passed on with all their bytes", async () => {
  const seen: string[] = [];
  const take = (name: string) => (socket: Socket) => {
    socket.once("data", (chunk: Buffer) => {
      seen.push(`${name} ${chunk.toString("hex")}`);
      socket.end("mine");
    });
  };
  await using served = await serve({ handlers: { raft: take("raft"), gossip: take("gossip") } });
  for (const bytes of [
    [0xa7, 9, 9, 9],
    [0x00, 1, 2],
    [0x0d, 1, 2],
    [0xf4, 5, 6],
  ]) {
    const socket = await dial(served.port);
    socket.write(Uint8Array.from(bytes));
    assert.equal((await heard(socket)).toString(), "mine");
  }
  assert.deepEqual(seen, ["raft a7090909", "gossip 000102", "gossip 0d0102", "gossip f40506"]);
});

test("a client that sends nothing, too little, or headers without end is disconnected", async () => {
  await using served = await serve({
    detectionMs: 100,
    http: { headersMs: 200, requestMs: 400, idleMs: 300 },
  });
  const silent = await dial(served.port);
  const short = await dial(served.port);
  short.write("G");
  const loris = await dial(served.port);
  loris.write("GET / HTTP/1.1\r\nhost: localhost\r\n");
  const drip = setInterval(() => loris.write("x: y\r\n"), 50);
  const body = await dial(served.port);
  body.write("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{");
  const idle = await dial(served.port);
  idle.write(get.replace("close", "keep-alive"));
  const [a, b, c, d, e] = await Promise.all([silent, short, loris, body, idle].map(heard));
  clearInterval(drip);
  assert.deepEqual([a?.length, b?.length], [0, 0]);
  assert.match(c?.toString() ?? "", /^HTTP\/1\.1 408 /);
  assert.match(d?.toString() ?? "", /^(HTTP\/1\.1 408 |$)/);
  assert.match(e?.toString() ?? "", /^HTTP\/1\.1 404 /);
  assert.equal((await curl(`${served.url}/?offset=0`)).status, 404);
  assert.equal(served.log.next, 0);
});

test("HTTP/2 has the same time limits: preface, header block, body, no request", async () => {
  const http = { headersMs: 200, requestMs: 400, idleMs: 300 };
  await using served = await serve({ http, fastPath: createFastPath });
  const begin = async (...frames: Uint8Array[]): Promise<Socket> => {
    const socket = await dial(served.port);
    socket.write(Buffer.concat([Buffer.from(preface), frame(4, 0, 0), ...frames]));
    return socket;
  };
  const post = (path: string, type: string): Buffer =>
    encodeBlock([
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", "localhost"],
      ["content-type", type],
      ["te", "trailers"],
    ]);
  const three = await dial(served.port);
  three.write("PRI");
  const bare = await dial(served.port);
  bare.write(preface);
  const unfinished = await begin(frame(1, 0, 1, Buffer.of(0x82)));
  const idle = await begin();
  const bodies = [
    await begin(frame(1, 4, 1, post("/", "application/json"))),
    await begin(frame(1, 4, 1, post("/log.v1.Log/Produce", "application/grpc"))),
    await begin(frame(1, 4, 1, post("/log.v1.Cluster/WhoAmI", "application/grpc"))),
    await begin(frame(1, 4, 1, post("/log.v1.Cluster/WhoAmI", "application/json"))),
  ];
  const silent = await Promise.all([three, bare, unfinished, idle].map(heard));
  const codes = silent.map((bytes) => bytes.subarray(bytes.length - 40).toString("latin1"));
  assert.deepEqual(
    codes.map((text) => text.includes("too slowly")),
    [true, true, true, false],
  );
  for (const socket of bodies) {
    const answer = await heard(socket);
    assert.match(answer.toString("latin1"), /the request came too slowly/);
  }
  assert.equal(served.log.next, 0);
});

test("a client-streaming call has no time limit", async () => {
  await using served = await serve({
    http: { headersMs: 50, requestMs: 50, idleMs: 50 },
    fastPath: createFastPath,
  });
  const session = connectH2(served.url);
  // The fast path serves the first, Connect the second.
  for (const encoding of ["identity", "gzip"]) {
    const stream = session.request({
      ":method": "POST",
      ":path": "/log.v1.Log/ProduceStream",
      "content-type": "application/grpc",
      "grpc-encoding": encoding,
      te: "trailers",
    });
    stream.on("error", () => undefined);
    await pause(400);
    assert.equal(stream.closed, false);
    stream.resume().end();
    const [trailers] = (await once(stream, "trailers")) as [Record<string, unknown>];
    assert.equal(trailers["grpc-status"], "0");
  }
  session.destroy();
});

/** Sends the first bytes of a request. */
async function begun(port: number, localAddress?: string): Promise<Socket> {
  const socket = connect({
    port,
    host: "127.0.0.1",
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  await once(socket, "connect");
  socket.write("GET");
  return socket;
}

test("clients above the limit are refused in their protocol, until others disconnect", async () => {
  await using served = await serve({ connectionsMax: 5, stalledMs: 60_000 });
  const held = await Promise.all(Array.from({ length: 5 }, () => begun(served.port)));
  const http1 = await dial(served.port);
  http1.write(get);
  const refused = (await heard(http1)).toString();
  assert.match(refused, /^HTTP\/1\.1 429 Too Many Requests\r\n.*"written":"no"/s);
  assert.match(refused, /"code":"resource_exhausted","message":"address 127\.0\.0\.1 has 5 connections/);
  const session = connectH2(served.url);
  session.on("error", () => undefined);
  const [code, , debug] = (await once(session, "goaway")) as [number, number, Buffer];
  assert.equal(code, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  assert.match(debug.toString(), /--connections-per-client-max/);
  session.destroy();
  for (const socket of held) socket.destroy();
  await until("all connections are closed", () => served.listener.connections === 0);
  assert.equal((await curl(`${served.url}/?offset=0`)).status, 404);
});

test("one address cannot take the places of others, and stalled connections are replaced", async () => {
  await using served = await serve({ connectionsMax: 10, perClientMax: 5, stalledMs: 300 });
  const held = await Promise.all(Array.from({ length: 10 }, () => begun(served.port)));
  // Of another address.
  const other = connect({ port: served.port, host: "127.0.0.1", localAddress: "127.0.0.2" });
  const answer = heard(other);
  other.write(get);
  assert.match((await answer).toString(), /^HTTP\/1\.1 404 /);
  // Of the same one, once the others have stalled.
  await until("a stalled connection is replaced", async () => {
    const { status } = await curl(`${served.url}/?offset=0`);
    return status === 404;
  });
  for (const socket of held) socket.destroy();
});

test("connections without a request are replaced in both HTTP versions; one with a tail stays", async () => {
  await using served = await serve({ connectionsMax: 3, stalledMs: 100 });
  const keepAlive = await dial(served.port);
  const ended = heard(keepAlive);
  keepAlive.write(get.replace("close", "keep-alive"));
  const idle = connectH2(served.url);
  const asked = idle.request({ ":path": "/?offset=0" });
  await once(asked, "response");
  asked.resume();
  await once(asked, "close");
  const tailing = connectH2(served.url);
  const tail = tailing.request({ ":path": "/tail", accept: "text/event-stream" });
  await once(tail, "response");
  const gone = once(idle, "goaway");
  const others = [];
  for (let at = 0; at < 2; at++) {
    const other = await until("an idle connection is replaced", async () => {
      const socket = await dial(served.port);
      socket.write(get.replace("close", "keep-alive"));
      const [response] = (await once(socket, "data")) as [Buffer];
      return response.includes("404") ? socket : undefined;
    });
    others.push(other);
  }
  assert.match((await ended).toString(), /^HTTP\/1\.1 404 /);
  assert.equal((await gone)[0], constants.NGHTTP2_NO_ERROR);
  assert.equal(tail.closed, false);
  for (const socket of others) socket.destroy();
  tailing.destroy();
});

test("closing finishes open responses and sends GOAWAY to HTTP/2", async () => {
  const served = await serve();
  let commit: () => void = () => undefined;
  served.log.gate = new Promise((resolve) => (commit = resolve));
  const session = connectH2(served.url);
  const gone = once(session, "goaway");
  const stream = session.request({ ":method": "POST", ":path": "/" });
  stream.end('{"record":{}}');
  await until("the append has begun", () => served.log.appendCalls.length > 0);
  const closed = served.listener.close(5_000);
  await gone;
  commit();
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  assert.equal(headers[":status"], 200);
  stream.resume();
  await closed;
  await assert.rejects(dial(served.port));
});

let files: ReturnType<typeof writeTlsFiles>;
let client: { cert: string; key: string; ca: string };
let stranger: { cert: string; key: string };
const cleanups: (() => void)[] = [];
before(async () => {
  const directory = scratch({ after: (work) => cleanups.push(work) });
  const authority = await testAuthority();
  files = writeTlsFiles(directory, "node", await authority.node(), authority.issued);
  const root = await authority.client("root");
  client = { cert: root.certificatePem, key: root.keyPem, ca: authority.issued.certificatePem };
  const other = await (await testAuthority("Other")).client("root");
  stranger = { cert: other.certificatePem, key: other.keyPem };
});
after(() => {
  for (const cleanup of cleanups) cleanup();
});

const tlsServer = (clientAuth: "require" | "optional" = "require", options: ServeOptions = {}) =>
  serve({ tls: new NodeTls({ server: files, clientAuth }), ...options });
async function dialTls(port: number, options: object): Promise<TLSSocket> {
  const socket = connectTls({ port, host: "127.0.0.1", servername: "localhost", ca: client.ca, ...options });
  await once(socket, "secureConnect");
  return socket;
}

test("plaintext on a port with TLS gets a 400, or a GOAWAY with the same message", async () => {
  await using served = await tlsServer();
  const http1 = await dial(served.port);
  http1.write(get);
  assert.match((await heard(http1)).toString(), /^HTTP\/1\.1 400 Bad Request.*this port requires TLS/s);
  const h2 = await dial(served.port);
  h2.write(preface);
  assert.match((await heard(h2)).toString("latin1"), /this port requires TLS/);
  const session = connectH2(`http://127.0.0.1:${served.port}`);
  session.on("error", () => undefined);
  const [code] = (await once(session, "goaway")) as [number];
  assert.equal(code, constants.NGHTTP2_INADEQUATE_SECURITY);
  session.destroy();
});

test("TLS serves HTTP/2, HTTP/1.1 with or without ALPN, and peers", async () => {
  const peers: string[] = [];
  const tls = new NodeTls({ server: files, clientAuth: "require" });
  await using served = await serve({
    tls,
    handlers: {
      raft(socket, identity) {
        peers.push(identity.subject);
        socket.end("peer");
      },
    },
  });
  const session = connectH2(`https://localhost:${served.port}`, {
    ...client,
    lookup: (_n, _o, done) => done(null, [{ address: "127.0.0.1", family: 4 }]),
  });
  const stream = session.request({ ":path": "/?offset=0" });
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  assert.equal(headers[":status"], 404);
  session.destroy();
  for (const ALPNProtocols of [["http/1.1"], undefined]) {
    const socket = await dialTls(served.port, { ...client, ALPNProtocols });
    socket.write(get);
    assert.match((await heard(socket)).toString(), /^HTTP\/1\.1 404 /);
  }
  const peer = await dialTls(served.port, { ...client, ALPNProtocols: [peerProtocol] });
  assert.equal((await heard(peer)).toString(), "peer");
  assert.deepEqual(peers, ["root"]);
});

test("a client without a certificate or with one of another CA is refused; optional mode accepts anonymous clients", async () => {
  await using strict = await tlsServer();
  for (const options of [{}, stranger]) {
    const socket = connectTls({
      port: strict.port,
      host: "127.0.0.1",
      servername: "localhost",
      ca: client.ca,
      ...options,
    });
    socket.write(get);
    assert.equal((await heard(socket)).length, 0);
  }
  await using lenient = await tlsServer("optional");
  const anonymous = await dialTls(lenient.port, {});
  anonymous.write(get);
  assert.match((await heard(anonymous)).toString(), /^HTTP\/1\.1 401 .*unauthenticated/s);
  const wrong = await dialTls(lenient.port, stranger);
  wrong.write(get);
  assert.match((await heard(wrong)).toString(), /^HTTP\/1\.1 401 /);
});

test("a handshake that never ends does not block other clients", async () => {
  await using served = await tlsServer();
  const stalled = await Promise.all(Array.from({ length: 50 }, () => dial(served.port)));
  for (const socket of stalled) socket.write(Uint8Array.of(0x16, 3, 1, 2, 0));
  const socket = await dialTls(served.port, client);
  socket.write(get);
  assert.match((await heard(socket)).toString(), /^HTTP\/1\.1 404 /);
  for (const one of stalled) one.destroy();
});

test("the connections of one certificate are limited, no matter how many addresses it uses", async () => {
  await using served = await tlsServer("require", { connectionsMax: 6, perClientMax: 2, stalledMs: 60_000 });
  const held = [];
  for (const localAddress of ["127.0.0.2", "127.0.0.3"]) {
    const socket = await dialTls(served.port, { ...client, localAddress });
    socket.write(get.replace("close", "keep-alive"));
    await once(socket, "data");
    held.push(socket);
  }
  const third = await dialTls(served.port, { ...client, localAddress: "127.0.0.4" });
  third.write(get);
  assert.match((await heard(third)).toString(), /^HTTP\/1\.1 429 .*subject root has 2 connections/s);
  const session = connectH2(`https://127.0.0.1:${served.port}`, { ...client, servername: "localhost" });
  session.on("error", () => undefined);
  const [code, , debug] = (await once(session, "goaway")) as [number, number, Buffer];
  assert.equal(code, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  assert.match(debug.toString(), /subject root has 2 connections/);
  session.destroy();
  for (const socket of held) socket.destroy();
});

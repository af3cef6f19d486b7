import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { localIdentity } from "../../../../../src/access/mod.ts";
import type { FastStream } from "../../../../../src/api/mod.ts";
import { noTelemetry } from "../../../../../src/lib/telemetry.ts";
import { systemClock } from "../../../../../src/lib/time/clock.ts";
import { HeadEnds } from "../../../../../src/server/http/direct/head-ends.ts";
import { Http1Connection } from "../../../../../src/server/http/direct/http1-connection.ts";
import { defaultHttpLimits } from "../../../../../src/server/http/http-limits.ts";
import { until } from "../../../../support/until.ts";

const post = (path: string, body = ""): string =>
  `POST ${path} HTTP/1.1\r\nhost: h\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

/** A connection whose requests to / (appends) and /read are served directly, and answered by the test. */
async function open(requestMs = 60_000, prepare: () => Promise<void> | undefined = () => undefined) {
  const streams: (FastStream & { body: string; isWhole: boolean })[] = [];
  const events: string[] = [];
  const limits = { ...defaultHttpLimits, requestMs };
  let socket: Socket | undefined;
  let connection: Http1Connection | undefined;
  const server = createServer({ allowHalfOpen: true }, (accepted) => {
    socket = accepted;
    connection = new Http1Connection(accepted, {
      router: {
        prepare,
        direct(stream, headers) {
          if (headers[":path"] !== "/" && headers[":path"] !== "/read") return false;
          const seen = Object.assign(stream, { body: "", isWhole: false });
          stream.onData = (chunk) => (seen.body += Buffer.from(chunk).toString());
          stream.onEnd = () => (seen.isWhole = true);
          stream.onClose = () => events.push("closed");
          streams.push(seen);
          return true;
        },
      },
      client: { identity: localIdentity, peer: "p", secure: false },
      activity: { busy: () => events.push("busy"), idle: () => events.push("idle") },
      clock: systemClock,
      log: noTelemetry.log,
      limits,
      memory: undefined,
      ends: new HeadEnds({ wallMs: () => 0 }, limits.idleMs),
      handOver: () => {
        events.push("handed over");
        accepted.on("data", (chunk: Buffer) => events.push(chunk.toString()));
      },
      onDone: () => events.push("done"),
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const received = { text: "" };
  client.on("data", (chunk: Buffer) => (received.text += chunk.toString("latin1")));
  client.on("error", () => undefined);
  const close = async (): Promise<void> => {
    client.destroy();
    socket?.destroy();
    server.close();
    await once(server, "close");
  };
  const drain = (): void => connection?.drain();
  return { client, streams, events, received, drain, [Symbol.asyncDispose]: close };
}

function answer(stream: FastStream | undefined, body: string): void {
  stream?.respond(Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n`), true);
  stream?.write(Buffer.from(body));
  stream?.end();
}

test("responses are sent in the order of the requests, whatever the order in which they end", async () => {
  await using open1 = await open();
  const { client, streams, received, events } = open1;
  client.write(post("/", "one") + post("/", "two") + post("/"));
  await until("all requests are there", () => streams.length === 3);
  assert.deepEqual(
    streams.map(({ body, isWhole }) => [body, isWhole]),
    [
      ["one", true],
      ["two", true],
      ["", true],
    ],
  );
  answer(streams[2], "third");
  answer(streams[1], "second");
  assert.equal(received.text, "");
  answer(streams[0], "first");
  await until("all responses are there", () => received.text.includes("third"));
  assert.match(received.text, /first.*second.*third/s);
  assert.deepEqual(events, ["busy", "closed", "closed", "closed", "idle"]);
});

test("the connection is passed on after the responses before, with all bytes from the next request on", async () => {
  await using opened = await open();
  const { client, streams, received, events } = opened;
  const rest = `${post("/logs/a", "body")}GET / HTTP/1.1\r\n`;
  client.write(post("/") + rest);
  await until("the request is there", () => streams.length === 1);
  client.write("more");
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(events, ["busy"]);
  answer(streams[0], "first");
  await until("the rest is read", () => events.join("").includes("more"));
  assert.match(received.text, /first/);
  assert.deepEqual(events.slice(0, 5), ["busy", "closed", "idle", "done", "handed over"]);
  assert.equal(events.slice(5).join(""), `${rest}more`);
});

test("a request whose body does not come is answered, and a disconnect closes every stream", async () => {
  await using slow = await open(30);
  slow.client.write(post("/", "body").slice(0, -1));
  await until("the request is refused", () =>
    /^HTTP\/1\.1 408 .*connection: close/s.test(slow.received.text),
  );
  assert.deepEqual(slow.events.slice(0, 2), ["busy", "closed"]);
  await using gone = await open();
  gone.client.write(post("/") + post("/"));
  await until("the requests are there", () => gone.streams.length === 2);
  gone.client.resetAndDestroy();
  await until("the streams are closed", () => gone.events.filter((event) => event === "closed").length === 2);
  assert.ok(gone.streams.every(({ closed }) => closed));
});

test("a connection that drains ends with its last response, which says so", async () => {
  await using opened = await open();
  const { client, streams, received, drain } = opened;
  client.write(post("/"));
  await until("the request is there", () => streams.length === 1);
  drain();
  answer(streams[0], "last");
  await once(client, "close");
  assert.match(received.text, /connection: close\r\n.*last$/is);
});

test("a request that does not append waits for those before it, and those behind wait for it", async () => {
  await using opened = await open();
  const { client, streams, received } = opened;
  const bodies = () => streams.map(({ body }) => body).join();
  client.write(post("/", "a") + post("/", "b") + post("/read", "c") + post("/", "d") + post("/", "e"));
  await until("the appends in front are there", () => streams.length >= 2);
  answer(streams[0], "A");
  await until("the first is answered", () => received.text.endsWith("A"));
  assert.equal(bodies(), "a,b");
  answer(streams[1], "B");
  await until("the read is there", () => streams.length > 2);
  assert.equal(bodies(), "a,b,c");
  answer(streams[2], "C");
  await until("the appends behind are there", () => streams.length > 3);
  assert.equal(bodies(), "a,b,c,d,e");
});

test("only the last response says that the connection ends", async () => {
  await using opened = await open();
  const { client, streams, received } = opened;
  client.write(`${post("/")}POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n`);
  await until("the requests are there", () => streams.length === 2);
  answer(streams[1], "second");
  answer(streams[0], "first");
  await until("the responses are there", () => received.text.includes("second"));
  assert.match(received.text, /keep-alive.*first.*connection: close.*second$/is);
  assert.equal(received.text.match(/connection: close/gi)?.length, 1);
});

test("an incomplete head waits for a second from its first byte, also if a response ends meanwhile", async () => {
  await using opened = await open();
  const { client, streams, events } = opened;
  client.write(`${post("/")}POST / HT`);
  await until("the request is there", () => streams.length === 1);
  answer(streams[0], "first");
  await until("the connection is passed on", () => events.includes("POST / HT"));
});

test("a client that sends no more gets the responses to the requests that have arrived", async () => {
  await using opened = await open();
  const { client, streams, received, events } = opened;
  client.end(post("/", "one") + post("/", "two") + post("/read", "three") + post("/", "four").slice(0, -1));
  await until("the appends are there", () => streams.length === 2);
  // The end of the stream has been read when another turn has passed.
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  answer(streams[1], "second");
  answer(streams[0], "x".repeat(1_000_000));
  await until("the read is there", () => streams.length === 3);
  answer(streams[2], "third");
  await once(client, "close");
  assert.match(received.text, /x{1000000}.*second.*third$/s);
  assert.equal(events.filter((event) => event === "closed").length, streams.length);
});

test("a response that is a stream ends when the client sends no more", async () => {
  await using opened = await open();
  const { client, streams, received } = opened;
  client.end(post("/"));
  await until("the request is there", () => streams.length === 1);
  streams[0]?.respond(Buffer.from("HTTP/1.1 200 OK\r\n"));
  streams[0]?.write(Buffer.from("some"));
  await once(client, "close");
  assert.match(received.text, /some/);
});

test("a request that waits and cannot be served directly is refused when the client sends no more", async () => {
  const held = Promise.withResolvers<void>();
  let asked = 0;
  await using waiting = await open(60_000, () => (asked++ === 0 ? held.promise : undefined));
  waiting.client.end(post("/logs/a", "body"));
  await until("the token is being verified", () => asked === 1);
  // The end of the stream has been read when another turn has passed.
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  held.resolve();
  await once(waiting.client, "close");
  assert.match(waiting.received.text, /^HTTP\/1\.1 503 .*connection: close.*"written":"no"/s);
  assert.ok(!waiting.events.includes("handed over"));

  await using behind = await open();
  behind.client.end(`${post("/")}GET / HTTP/1.1\r\nhost: h\r\n\r\n`);
  await until("the append is there", () => behind.streams.length === 1);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  answer(behind.streams[0], "first");
  await once(behind.client, "close");
  assert.match(behind.received.text, /200 OK.*first.*HTTP\/1\.1 503 .*connection: close/s);
});

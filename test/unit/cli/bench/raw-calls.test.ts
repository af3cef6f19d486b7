/** Raw calls against the HTTP/2 server of Node.js. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { type TestContext, test } from "node:test";
import { RawCalls } from "../../../../src/cli/bench/raw-calls.ts";
import { callHeaders, RawConnection } from "../../../../src/cli/bench/raw-connection.ts";
import type { Fault } from "../../../../src/fault.ts";

type Answer = (stream: ServerHttp2Stream, body: Buffer) => void;

/** A server that answers each request when its body has arrived. */
async function serverOf(t: TestContext, answer: Answer, initialWindowSize = 65_535) {
  const server = createServer({ settings: { initialWindowSize } });
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream: ServerHttp2Stream) => {
    const pieces: Buffer[] = [];
    stream.on("error", () => undefined);
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("end", () => answer(stream, Buffer.concat(pieces)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const target = { host: "127.0.0.1", port: (server.address() as AddressInfo).port, tls: undefined };
  const calls = new RawCalls(target);
  t.after(() => {
    calls.close();
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { calls, target, sessions, headers: callHeaders("Produce", target) };
}

function respond(
  stream: ServerHttp2Stream,
  trailers: Record<string, string>,
  body = Buffer.of(0, 0, 0, 0, 0),
): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(body);
}

const ok = (stream: ServerHttp2Stream): void => respond(stream, { "grpc-status": "0" });

test("many calls share a connection, and their requests arrive whole through a small window", async (t) => {
  const bodies: number[] = [];
  const { calls, headers, sessions } = await serverOf(
    t,
    (stream, body) => {
      bodies.push(body.length);
      ok(stream);
    },
    1_000,
  );
  const sizes = Array.from({ length: 40 }, (_, at) => at * 1_237);
  await Promise.all(sizes.map((size, worker) => calls.call(worker, headers, Buffer.alloc(size))));
  assert.deepEqual(
    bodies.sort((a, b) => a - b),
    sizes,
  );
  assert.equal(sessions.size, 1);
});

test("a call fails with the fault of its status, and the next one succeeds", async (t) => {
  const answers: Answer[] = [
    (stream) => respond(stream, { "grpc-status": "7", "grpc-message": "no" }),
    (stream) => stream.respond({ ":status": 200, "grpc-status": "8" }, { endStream: true }),
    (stream) => stream.respond({ ":status": 502 }, { endStream: true }),
    (stream) => stream.close(7),
    (stream) => stream.close(2),
    ok,
  ];
  const { calls, headers } = await serverOf(t, (stream) => answers.shift()?.(stream, Buffer.of()));
  const outcome = (): Promise<unknown> =>
    calls.call(0, headers, Buffer.of(0)).then(
      () => "done",
      ({ kind, written }: Fault) => `${kind} ${written}`,
    );
  assert.equal(await outcome(), "permission-denied unknown");
  assert.equal(await outcome(), "overloaded unknown");
  assert.equal(await outcome(), "unavailable unknown");
  assert.equal(await outcome(), "unavailable no");
  assert.equal(await outcome(), "unavailable unknown");
  assert.equal(await outcome(), "done");
});

test("a lost connection fails its calls, and the next call opens another one", async (t) => {
  let isLost = true;
  const { calls, headers, sessions } = await serverOf(t, (stream) => {
    if (isLost) stream.session?.destroy();
    else ok(stream);
  });
  const lost = [0, 1, 2].map((worker) => calls.call(worker, headers, Buffer.of(0)));
  for (const result of await Promise.allSettled(lost))
    assert.equal(result.status === "rejected" && (result.reason as Fault).written, "unknown");
  isLost = false;
  await Promise.all([0, 1, 2].map((worker) => calls.call(worker, headers, Buffer.of(0))));
  assert.equal(sessions.size, 2);
});

test("a large response arrives whole, in pieces", async (t) => {
  const body = Buffer.alloc(300_000, "b");
  const { target, headers } = await serverOf(t, (stream) => respond(stream, { "grpc-status": "0" }, body));
  const connection = await RawConnection.open(target);
  t.after(() => connection.close());
  const pieces: Buffer[] = [];
  await new Promise<void>((resolve) => {
    connection.start(headers, Buffer.of(0), {
      onData: (piece) => pieces.push(Buffer.from(piece)),
      onEnd: () => resolve(),
    });
  });
  assert.ok(Buffer.concat(pieces).equals(body));
});

test("a server of another protocol ends the call, and nothing that listens is a fault", async () => {
  const server = createTcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.resume().end("HTTP/1.1 400 Bad Request\r\n\r\n");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const target = { host: "127.0.0.1", port: (server.address() as AddressInfo).port, tls: undefined };
  const calls = new RawCalls(target);
  await assert.rejects(calls.call(0, callHeaders("Produce", target), Buffer.of(0)), { kind: "unavailable" });
  server.close();
  await once(server, "close");
  await assert.rejects(new RawCalls(target).call(0, Buffer.of(), Buffer.of(0)), {
    kind: "unavailable",
    facts: { unreachable: true, code: "ECONNREFUSED" },
  });
});

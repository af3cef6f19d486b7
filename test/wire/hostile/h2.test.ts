/** Our HTTP/2 server on real sockets: against h2spec, the conformance suite, and against Node's client. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { type ClientHttp2Stream, connect, constants, type OutgoingHttpHeaders } from "node:http2";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { promisify } from "node:util";
import { createFastPath } from "../../../src/api/mod.ts";
import { H2Session } from "../../../src/http2/mod.ts";
import { noLogger } from "../../../src/lib/telemetry.ts";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { H2Client, headerBlock } from "../../bench/load/h2-client.ts";
import { serve } from "../../support/http/serve.ts";
import { requireProgram } from "../../support/process/require-program.ts";

test("every h2spec test passes", { ...requireProgram("h2spec"), timeout: 120_000 }, async () => {
  await using served = await serve();
  const { stdout } = await promisify(execFile)("h2spec", [
    "-h",
    "127.0.0.1",
    "-p",
    String(served.port),
    "-o",
    "3",
  ]).catch((failed: { stdout: string }) => failed);
  const [, tests, passed] = /(\d+) tests, (\d+) passed/.exec(stdout) ?? [];
  assert.ok(Number(tests) > 140, stdout);
  // The port also speaks HTTP/1.1: a client that does not begin with the preface gets a response in that.
  const allowed = stdout.includes("2: Sends invalid connection preface") ? 1 : 0;
  assert.equal(Number(passed), Number(tests) - allowed, stdout.slice(stdout.indexOf("Failures:")));
});

test("every character that a header can contain arrives, with every coding of the client", async () => {
  const sockets = new Set<Socket>();
  const seen = new Map<string, unknown>();
  const server = createServer((socket) => {
    sockets.add(socket);
    new H2Session(socket, {
      clock: systemClock,
      log: noLogger,
      serve: (stream, headers) => {
        for (const [name, value] of Object.entries(headers)) seen.set(name, value);
        stream.reset(8);
      },
      onClose: () => undefined,
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const client = connect(`http://127.0.0.1:${port}`);
  const sent: Record<string, string> = {};
  for (let code = 0x21; code < 0x100; code++) {
    if (code === 0x7f) continue;
    // With frequent characters around it, the client uses Huffman code even if this character is expensive.
    sent[`x-${code.toString(16)}`] = `aeiouaeiouaeiou${String.fromCharCode(code)}aeiouaeiouaeiou`;
  }
  const names = Object.keys(sent);
  for (let at = 0; at < names.length; at += 50) {
    const some = Object.fromEntries(names.slice(at, at + 50).map((name) => [name, sent[name]]));
    await new Promise<void>((resolve) => {
      const stream = client.request({ ":path": "/", ...some });
      stream.on("error", () => undefined);
      stream.on("close", resolve);
    });
  }
  client.destroy();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  for (const [name, value] of Object.entries(sent)) assert.equal(seen.get(name), value, name);
});

test("requests that break the rules of HTTP/2 are reset with PROTOCOL_ERROR, and the connection goes on", async () => {
  await using served = await serve({ fastPath: createFastPath });
  const client = await H2Client.open({ port: served.port });
  const plain: [string, string][] = [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/?offset=0"],
    [":authority", "localhost"],
  ];
  const without = (name: string): [string, string][] => plain.filter(([field]) => field !== name);
  const withField = (name: string, value: string): [string, string][] => [...without(name), [name, value]];
  const malformed: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
    "CONNECT with a path": [[":method", "CONNECT"], ...without(":method")],
    "CONNECT without an authority": [[":method", "CONNECT"]],
    "no method": without(":method"),
    "no path": without(":path"),
    "an empty path": [[":path", ""], ...without(":path")],
    "a path that does not begin with a slash": [[":path", "x"], ...without(":path")],
    "a path with a space": [[":path", "/a b"], ...without(":path")],
    "an asterisk for GET": [[":path", "*"], ...without(":path")],
    "a method that is no token": [[":method", "G T"], ...without(":method")],
    "a malformed scheme": [[":scheme", "/"], ...without(":scheme")],
    "user information": [[":authority", "me@localhost"], ...without(":authority")],
    "a host that is not the authority": withField("host", "elsewhere"),
    "upper case": withField("X-Upper", "1"),
    "an empty name": withField("", "1"),
    "a value that begins with a space": withField("x", " 1"),
    "a value with a line end": withField("x", "a\r\nb"),
    connection: withField("connection", "close"),
    "transfer-encoding": withField("transfer-encoding", "chunked"),
    upgrade: withField("upgrade", "h2c"),
    "te other than trailers": withField("te", "gzip"),
    "a length that is no number": withField("content-length", "five"),
    "a length and no body": withField("content-length", "5"),
    "a pseudo-header field last": [...withField("x", "1"), [":path", "/"]],
    "a pseudo-header field of a response": [[":status", "200"], ...plain],
  };
  for (const [name, fields] of Object.entries(malformed)) {
    const reset = await new Promise<boolean>((resolve) =>
      client.request(headerBlock(fields), Buffer.alloc(0), { onEnd: resolve }),
    );
    assert.ok(reset, name);
  }
  for (const fields of [
    plain,
    withField("http2-settings", "AAMAAABk"),
    withField("expect", "100-continue"),
    withField("expect", "a miracle"),
    [
      [":method", "CONNECT"],
      [":authority", "localhost"],
    ] as const,
  ]) {
    const reset = await new Promise<boolean>((resolve) =>
      client.request(headerBlock(fields), Buffer.alloc(0), { onEnd: resolve }),
    );
    assert.equal(reset, false, String(fields));
  }
  client.close();
});

test("a gateway can cancel a thousand tails at once, repeatedly, and its other stream goes on", {
  timeout: 60_000,
}, async () => {
  await using served = await serve({ fastPath: createFastPath });
  const session = connect(served.url);
  let ended: string | undefined;
  session.on("error", () => undefined);
  session.on("goaway", (code) => (ended = `GOAWAY ${code}`));
  const tail = (path: string, headers: OutgoingHttpHeaders, body?: Buffer): ClientHttp2Stream => {
    const stream = session.request({ ":path": path, ...headers });
    stream.on("error", () => undefined);
    stream.resume();
    stream.end(body);
    return stream;
  };
  const sse = (): ClientHttp2Stream => tail("/tail", { accept: "text/event-stream" });
  const grpc = (): ClientHttp2Stream =>
    tail(
      "/log.v1.Log/ConsumeStream",
      { ":method": "POST", "content-type": "application/grpc", te: "trailers" },
      Buffer.alloc(5),
    );
  const other = sse();
  await once(other, "response");
  for (const open of [sse, grpc, grpc]) {
    const tails = Array.from({ length: 1000 }, open);
    await Promise.all(tails.map((one) => once(one, "response")));
    for (const one of tails) one.close(constants.NGHTTP2_CANCEL);
    await Promise.all(tails.map((one) => once(one, "close")));
  }
  const heard = once(other, "data");
  await served.log.append({ bytes: Buffer.from([0x0a, 0x00]), count: 1 });
  await heard;
  assert.equal(ended, undefined);
  session.destroy();
});

/**
 * A request that reaches no method is refused in the protocol of the client: a gRPC status, the end of a Connect stream,
 * or an HTTP status with one line of JSON. The same over HTTP/1.1 and HTTP/2.
 */
import assert from "node:assert/strict";
import { type ClientHttp2Session, connect as connectH2, type IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { createFastPath } from "../../../src/api/mod.ts";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { curl } from "../../support/http/curl.ts";
import { type Served, serve } from "../../support/http/serve.ts";

let served: Served;
let session: ClientHttp2Session;
before(async () => {
  served = await serve({ fastPath: createFastPath, requestBytesMax: 10_000 });
  session = connectH2(served.url);
});
after(async () => {
  session.destroy();
  await served[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The trailers, or the trailers that were sent as headers. */
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function askH2(
  path: string,
  headers: Record<string, string>,
  body: Uint8Array | string,
): Promise<Answer> {
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  let head: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on("response", (got) => (head = got));
  stream.on("trailers", (got) => (trailers = got));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.end(body);
  await new Promise((resolve) => stream.once("close", resolve));
  return {
    status: Number(head[":status"]),
    headers: head,
    trailers: "grpc-status" in trailers ? trailers : head,
    body: Buffer.concat(chunks),
  };
}

/** Sends bytes on a new connection. Returns everything that arrives until it is closed or idle for a while. */
function raw(bytes: string, quietMs = 100): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(served.port, "127.0.0.1");
    let text = "";
    let timer: ReturnType<typeof setTimeout>;
    const done = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      clearTimeout(timer);
      timer = setTimeout(done, quietMs);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(text);
    });
    socket.write(bytes, "latin1");
  });
}

const envelope = (message: string, flags = 0): Buffer =>
  Buffer.from(encodeEnvelope(Buffer.from(message), flags));
const message = (answer: Answer): string => decodeURIComponent(String(answer.trailers["grpc-message"]));
const endOfStream = (body: Buffer): { code: string; message: string } =>
  (JSON.parse(body.subarray(5).toString()) as { error: { code: string; message: string } }).error;

test("a name that is not the name of the server is permission_denied, and the message names --allow-hosts", async () => {
  const host = { ":authority": "tailrace.svc" };
  for (const path of ["/log.v1.Log/Describe", "/log.v1.Log/Produce", "/no.such.Service/Method", "/tail"]) {
    for (const type of [
      "application/grpc",
      "application/grpc+proto",
      "application/grpc-web",
      "application/grpc-web-text",
    ]) {
      const answer = await askH2(path, { ...host, "content-type": type }, "");
      assert.deepEqual([answer.status, answer.trailers["grpc-status"]], [200, "7"], `${type} ${path}`);
      assert.match(message(answer), /--allow-hosts/);
    }
    const json = await askH2(path, { ...host, "content-type": "application/json" }, "{}");
    assert.equal(json.status, 403);
    assert.match(json.body.toString(), /^\{"code":"permission_denied".*--allow-hosts.*"written":"no"\}\n$/);
    const stream = await askH2(path, { ...host, "content-type": "application/connect+json" }, envelope("{}"));
    assert.equal(stream.status, 200);
    assert.equal(endOfStream(stream.body).code, "permission_denied");
  }
  const web = await curl(`${served.url}/log.v1.Log/Describe`, {
    method: "POST",
    headers: { host: "tailrace.svc", "content-type": "application/grpc-web+proto" },
    body: envelope(""),
  });
  assert.deepEqual([web.status, web.headers["grpc-status"]], [200, "7"]);
});

test("an unknown service or method is unimplemented in every protocol", async () => {
  for (const path of ["/no.such.Service/Method", "/Service/Method", "/log.v1.Log/NoSuchMethod"]) {
    for (const type of [
      "application/grpc",
      "application/grpc-web+proto",
      "application/grpc-web-text+proto",
    ]) {
      const answer = await askH2(path, { "content-type": type }, "");
      assert.deepEqual([answer.status, answer.trailers["grpc-status"]], [200, "12"], `${type} ${path}`);
      assert.ok(message(answer).includes(path));
    }
    for (const type of ["application/json", "application/proto"]) {
      const answer = await askH2(path, { "content-type": type }, "");
      assert.equal(answer.status, 404);
      const { code, written } = JSON.parse(answer.body.toString()) as { code: string; written: string };
      assert.deepEqual([code, written], ["unimplemented", "no"], `${type} ${path}`);
    }
    const stream = await askH2(path, { "content-type": "application/connect+proto" }, "");
    assert.deepEqual([stream.status, endOfStream(stream.body).code], [200, "unimplemented"]);
  }
  const page = await curl(`${served.url}/no/such/page`);
  assert.deepEqual([page.status, page.json["code"]], [404, "not_found"]);
});

test("a long path or name is quoted in part, so that no response is larger than a client accepts", async () => {
  const long = "x".repeat(7000);
  const unknown = await askH2(`/${long}/Method`, { "content-type": "application/grpc" }, "");
  assert.equal(unknown.trailers["grpc-status"], "12");
  assert.ok(JSON.stringify(unknown.trailers).length < 2000);
  const stranger = await askH2("/", { ":authority": long, "content-type": "application/grpc" }, "");
  assert.equal(stranger.trailers["grpc-status"], "7");
  assert.ok(JSON.stringify(stranger.trailers).length < 2000);
});

test("a compressed message without an encoding is internal, on the fast path and on Connect, in every framing", async () => {
  for (const method of ["Describe", "Produce", "ConsumeStream"]) {
    const answer = await askH2(
      `/log.v1.Log/${method}`,
      { "content-type": "application/grpc" },
      envelope("x", 1),
    );
    assert.deepEqual([answer.status, answer.trailers["grpc-status"]], [200, "13"], method);
    assert.match(message(answer), /compressed/);
  }
  for (const type of ["application/connect+json", "application/connect+proto"]) {
    const answer = await askH2("/log.v1.Log/ConsumeStream", { "content-type": type }, envelope("{}", 1));
    assert.equal(endOfStream(answer.body).code, "internal", type);
  }
  const batch = JSON.stringify({ records: [{ value: "QUFB".repeat(2_000) }] });
  const large = await askH2(
    "/log.v1.Log/ProduceBulk",
    { "content-type": "application/connect+json" },
    envelope(batch, 1),
  );
  assert.equal(endOfStream(large.body).code, "internal", "also a large one");
  const web = await askH2(
    "/log.v1.Log/Describe",
    { "content-type": "application/grpc-web" },
    envelope("x", 1),
  );
  assert.match(web.body.toString("latin1"), /grpc-status: 13/);
});

test("a content type of no protocol is unknown", async () => {
  for (const type of ["application/grpc+foo", "application/grpc+", "application/grpc-web+foo"]) {
    const answer = await askH2("/log.v1.Log/Describe", { "content-type": type }, "");
    assert.deepEqual([answer.status, answer.trailers["grpc-status"]], [200, "2"], type);
    assert.ok(message(answer).includes(type));
  }
  for (const [type, path] of [
    ["text/plain", "Describe"],
    ["application/json", "ConsumeStream"],
    ["application/connect+json", "Describe"],
    ["application/connect+foo", "ConsumeStream"],
    ["application/grpcfoo", "Describe"],
  ] as const) {
    const answer = await askH2(`/log.v1.Log/${path}`, { "content-type": type }, "{}");
    assert.equal(answer.status, 415, type);
    const { code, written } = JSON.parse(answer.body.toString()) as { code: string; written: string };
    assert.deepEqual([code, written], ["unknown", "no"], type);
  }
});

test("gRPC-Web-text that is not base64 is invalid_argument and says so", async () => {
  for (const body of ["!!!!", "AAAA!", "=", "====", "AA=A", "A", "AAAAA", "A===", "\0\0\0\0"]) {
    for (const method of ["Describe", "ConsumeStream"]) {
      const answer = await askH2(
        `/log.v1.Log/${method}`,
        { "content-type": "application/grpc-web-text" },
        body,
      );
      const text = Buffer.from(answer.body.toString("latin1"), "base64").toString("latin1");
      assert.match(text, /grpc-status: 3/, JSON.stringify(body));
      assert.match(decodeURIComponent(text), /grpc-message: the body is not base64/, JSON.stringify(body));
    }
  }
});

test("an expectation other than 100-continue is 417, with the reason, over either version of HTTP", async () => {
  for (const path of ["/", "/tail", "/log.v1.Log/Describe"]) {
    const old = await curl(`${served.url}${path}`, {
      method: "POST",
      headers: { expect: "a miracle", "content-type": "application/json" },
      body: "{}",
    });
    assert.deepEqual([old.status, old.json["code"], old.json["written"]], [417, "invalid_argument", "no"]);
    assert.match(String(old.json["message"]), /a miracle/);
    const answer = await askH2(path, { expect: "a miracle", "content-type": "application/json" }, "{}");
    assert.deepEqual([answer.status, answer.body.toString()], [417, old.text]);
  }
  const grpc = await askH2(
    "/log.v1.Log/Produce",
    { expect: "a miracle", "content-type": "application/grpc" },
    "",
  );
  assert.equal(grpc.trailers["grpc-status"], "3");
});

test("100 Continue is sent when the body is read, and not before a refusal", async () => {
  const head = (path: string, length: number, more = ""): string =>
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: ${length}\r\n${more}\r\n`;
  assert.equal(await raw(head("/", 13)), "HTTP/1.1 100 Continue\r\n\r\n");
  const json = "content-type: application/json\r\n";
  assert.equal(await raw(head("/log.v1.Log/Produce", 13, json)), "HTTP/1.1 100 Continue\r\n\r\n");
  for (const [path, length, more, status] of [
    ["/", 10_001, "", 413],
    ["/log.v1.Log/Produce", 10_001, json, 429],
    ["/nowhere", 5, "", 404],
    ["/log.v1.Log/Nothing", 5, json, 404],
    ["/log.v1.Log/Produce", 5, "content-type: text/plain\r\n", 415],
    ["/tail", 5, "", 405],
  ] as const) {
    const answer = await raw(head(path, length, more));
    assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), `${path} ${answer}`);
    assert.match(answer, /\r\nconnection: close\r\n/i);
    assert.equal(answer.split("HTTP/1.1 ").length, 2, answer);
  }
});

test("a transfer coding other than chunked is 501, and the connection ends", async () => {
  for (const coding of ["gzip, chunked", "gzip,chunked", "identity, chunked", "chunked, chunked"]) {
    const head = `POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: ${coding}\r\n\r\n`;
    const answer = await raw(`${head}d\r\n{"record":{}}\r\n0\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 (501|400) /, coding);
    assert.match(answer, /\r\nconnection: close\r\n/i);
    assert.match(answer, /"written":"no"\}\n$/);
  }
  assert.equal(served.log.next, 0);
});

test("CONNECT is refused with 405 over either version of HTTP", async () => {
  const answer = await raw("CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 405 .*\r\nconnection: close\r\n.*"written":"no"\}\n$/s);
  const stream = session.request({ ":method": "CONNECT", ":authority": "localhost:80" });
  const status = await new Promise((resolve) => stream.on("response", (got) => resolve(got[":status"])));
  assert.equal(status, 405);
  stream.close();
});

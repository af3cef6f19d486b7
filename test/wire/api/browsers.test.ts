/**
 * Rules for browsers, on every route and in every protocol: a page of another site changes nothing, and a response is not
 * interpreted as another content type.
 */
import assert from "node:assert/strict";
import { type ClientHttp2Session, connect as connectH2, type IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { createFastPath } from "../../../src/api/mod.ts";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { curl } from "../../support/http/curl.ts";
import { type Served, serve } from "../../support/http/serve.ts";
import { until } from "../../support/until.ts";

let served: Served;
let session: ClientHttp2Session;
before(async () => {
  const origins = { origins: ["https://good.example"], hosts: [] };
  served = await serve({ fastPath: createFastPath, origins, opsAddress: "127.0.0.1:9080" });
  session = connectH2(served.url);
});
after(async () => {
  session.destroy();
  await served[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

async function h2(path: string, headers: Record<string, string>, body: Uint8Array | string): Promise<Answer> {
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  let head: IncomingHttpHeaders = {};
  let text = "";
  stream.on("response", (got) => (head = got));
  stream.on("trailers", (got) => (head = { ...head, ...got }));
  stream.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  stream.end(body);
  await new Promise((resolve) => stream.once("close", resolve));
  return { status: Number(head[":status"]), headers: head, text };
}

async function h1(path: string, headers: Record<string, string>, body: Uint8Array | string): Promise<Answer> {
  const answer = await curl(`${served.url}${path}`, { method: "POST", headers, body });
  return { status: answer.status, headers: answer.headers as IncomingHttpHeaders, text: answer.text };
}

const produce = "/log.v1.Log/Produce";
const json = '{"record":{"value":"QQ=="}}';
/** ProduceRequest { record { value: "A" } }, and the same with its prefix. */
const binary = Buffer.from("0a030a0141", "hex");
const enveloped = Buffer.from(encodeEnvelope(binary));
const bodies: Readonly<Record<string, Uint8Array | string>> = {
  "application/json": json,
  "application/json; charset=utf-8": json,
  "application/proto": binary,
  "application/grpc": enveloped,
  "application/grpc-web+proto": enveloped,
  "application/grpc-web-text": enveloped.toString("base64"),
};
const foreign: readonly Record<string, string>[] = [
  { origin: "https://evil.example" },
  { origin: "null" },
  { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
  { "sec-fetch-site": "cross-site" },
  { "sec-fetch-site": "same-site" },
];

test("a page of another site cannot append with an RPC, in any protocol, with or without a preflight", async () => {
  for (const [name, ask] of Object.entries({ h1, h2 })) {
    for (const [type, body] of Object.entries(bodies)) {
      for (const headers of foreign) {
        const before = served.log.next;
        const answer = await ask(produce, { ...headers, "content-type": type, te: "trailers" }, body);
        const label = `${name} ${type} ${JSON.stringify(headers)}`;
        const status = answer.headers["grpc-status"];
        // gRPC over HTTP/1.1 responds in trailers, which this client does not show.
        if (name === "h1" && type === "application/grpc") assert.equal(answer.status, 200);
        else if (type.startsWith("application/grpc"))
          assert.ok(status === "7" || /grpc-status: ?7/i.test(answer.text), label);
        else {
          assert.equal(answer.status, 403, label);
          assert.match(answer.text, /permission_denied.*--cors-origins/, label);
        }
        assert.equal(served.log.next, before, label);
      }
    }
  }
});

test("a page of this server or of a listed site can call, and so can programs", async () => {
  const allowed: readonly Record<string, string>[] = [
    {},
    { origin: served.url, "sec-fetch-site": "same-origin" },
    { origin: served.url },
    { "sec-fetch-site": "none" },
    { origin: "https://good.example", "sec-fetch-site": "cross-site" },
    // Behind a proxy that terminates TLS, only Sec-Fetch-Site shows the same origin.
    { origin: "https://proxy.example", "sec-fetch-site": "same-origin" },
  ];
  for (const ask of [h1, h2]) {
    for (const headers of allowed) {
      const before = served.log.next;
      const { status } = await ask(produce, { ...headers, "content-type": "application/json" }, json);
      assert.equal(status, 200, JSON.stringify(headers));
      assert.equal(served.log.next, before + 1);
    }
  }
});

test("every response says nosniff, on each route, in each protocol, for each refusal", async () => {
  const url = served.url;
  const answers = [
    await curl(url, { method: "POST", body: json }),
    await curl(`${url}/?offset=0`),
    await curl(`${url}/?offset=9999`),
    await curl(url, { method: "PUT", body: "" }),
    await curl(url, { headers: { accept: "text/html" } }),
    await curl(url, { method: "OPTIONS" }),
    await curl(url, { method: "POST", body: "{" }),
    await curl(`${url}/tail?from=start&limit=1`),
    await curl(`${url}/tail?from=nowhere`),
    await curl(`${url}/nowhere`),
    await curl(`${url}/ui/`),
    await curl(url, { headers: { host: "evil.example" } }),
    await curl(url, { headers: { expect: "a miracle" }, method: "POST", body: "" }),
    await curl(`${url}${produce}`, {
      method: "POST",
      body: json,
      headers: { origin: "https://evil.example" },
    }),
    await curl(`${url}${produce}`, { headers: {} }),
    await curl(`${url}${produce}`, { method: "POST", body: json, headers: { "content-type": "text/plain" } }),
    await curl(`${url}/log.v1.Log/Nothing`, {
      method: "POST",
      body: json,
      headers: { "content-type": "application/json" },
    }),
  ];
  for (const ask of [h1, h2]) {
    for (const [type, body] of Object.entries(bodies)) {
      answers.push({ json: {}, ...(await ask(produce, { "content-type": type, te: "trailers" }, body)) });
      answers.push({ json: {}, ...(await ask(produce, { "content-type": type, te: "trailers" }, "x")) });
    }
  }
  for (const [at, { status, headers }] of answers.entries()) {
    assert.equal(headers["x-content-type-options"], "nosniff", `answer ${at}, status ${status}`);
  }
});

test("bytes that are not HTTP are refused with nosniff too", async () => {
  for (const bytes of [
    "GET / HTTP/1.1\r\nhost\r\n\r\n",
    "CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
  ]) {
    const text = await new Promise<string>((resolve) => {
      const socket = connect(served.port, "127.0.0.1", () => socket.write(bytes));
      let got = "";
      socket.on("data", (chunk) => {
        got += chunk.toString();
        if (got.includes("\r\n\r\n")) socket.destroy();
      });
      socket.on("error", () => undefined);
      socket.on("close", () => resolve(got));
    });
    assert.match(text, /^HTTP\/1\.1 [45]\d\d .*x-content-type-options: nosniff\r\n/is, bytes);
  }
});

test("a probe on the main port is refused with the address of probes and metrics", async () => {
  for (const path of ["/healthz", "/livez", "/readyz", "/metrics", "/version"]) {
    const { status, json: body } = await curl(`${served.url}${path}`);
    assert.equal(status, 404);
    assert.equal(body["code"], "not_found");
    assert.equal(body["message"], `${path} is not on this port, it is at http://127.0.0.1:9080${path}`);
  }
});

/** Resolves when a call has begun and waits. */
async function callWaits(): Promise<void> {
  await until("a call has begun", () => served.service.calls.openCalls > 0);
  for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate);
}

test("Consume that times out names the end at that time; a wait of 2^31 ms or more does not time out at once", async () => {
  const consume = (body: object) =>
    curl(`${served.url}/log.v1.Log/Consume`, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
  const wire = (offset: number, waitMs: number): Buffer => {
    const message = Buffer.from([0x08, 0x80 | (offset & 0x7f), offset >> 7, 0x68, 0, 0, 0, 0, 0]);
    for (let at = 0, rest = waitMs; at < 5; at++, rest = Math.floor(rest / 128))
      message[4 + at] = (rest % 128) | (at < 4 ? 0x80 : 0);
    return Buffer.from(encodeEnvelope(message));
  };
  const grpc = { "content-type": "application/grpc", te: "trailers" };
  const far = served.log.next + 200;
  for (const wait of [
    () => consume({ offset: far, waitMs: 300 }),
    () => h2("/log.v1.Log/Consume", grpc, wire(far, 300)),
  ]) {
    const waiting = wait();
    await callWaits();
    await curl(served.url, { method: "POST", body: json });
    const now = served.log.next;
    const answer = await waiting;
    const details = decodeURIComponent(JSON.stringify([answer.headers, answer.text]));
    if ("json" in answer) {
      const [info] = answer.json["details"] as { debug: { metadata: Record<string, string> } }[];
      assert.equal(info?.debug.metadata["next"], `${now}`);
    } else {
      const bin = Buffer.from(String(answer.headers["grpc-status-details-bin"]), "base64").toString("latin1");
      assert.match(bin, new RegExp(`next\\x12.${now}`, "s"), details);
    }
  }
  for (const waitMs of [2 ** 31, 2 ** 32 - 1]) {
    for (const wait of [
      () => consume({ offset: served.log.next, waitMs }),
      () => h2("/log.v1.Log/Consume", grpc, wire(served.log.next, waitMs)),
    ]) {
      let ended = false;
      const waiting = wait().then((answer) => {
        ended = true;
        return answer;
      });
      await callWaits();
      // A timer without delay fires within a few turns.
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(ended, false);
      await curl(served.url, { method: "POST", body: json });
      assert.equal((await waiting).status, 200);
    }
  }
});

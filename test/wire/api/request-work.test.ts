/**
 * No request blocks the event loop: the longest turn of the loop is measured while a node in this process serves the most
 * expensive bodies that the limit in bytes allows.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createFastPath } from "../../../src/api/fast-path/fast-path.ts";
import { ProduceBatchRequestSchema, ProduceBatchResponseSchema } from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { encodeRun } from "../../../src/log/mod.ts";
import { type Served, serve } from "../../support/http/serve.ts";
import { longestTurnMs } from "../../support/time/longest-turn.ts";

/** CPU time in ms. Without limits these bodies take 500 to 4,000. The aim is 50; a garbage collection can add to a turn. */
const turnMsMax = 150;

let served: Served;
before(async () => {
  served = await serve({ fastPath: createFastPath });
});
after(() => served[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly text: string;
}

function ask(
  path: string,
  body: Uint8Array,
  headers: Record<string, string>,
  url = served.url,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(`${url}${path}`, { method: "POST", agent: false, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const whole = Buffer.concat(chunks);
        resolve({ status: response.statusCode ?? 0, body: whole, text: whole.toString() });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const repeat = (hex: string, count: number): Buffer =>
  Buffer.alloc((hex.length / 2) * count, Buffer.from(hex, "hex"));
const many = (value: string, count: number): string => Array(count).fill(value).join();
const json = { "content-type": "application/json" };
const proto = { "content-type": "application/proto" };
const rpc = (name: string): string => `/log.v1.${name}`;

interface Case {
  readonly name: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
  readonly status: number;
  readonly says: RegExp;
}

const numbers = Buffer.from(`{"x":[${many("1", 2_000_000)}]}`);
const refused: readonly Case[] = [
  {
    name: "two million numbers on POST /",
    path: "/",
    headers: {},
    body: numbers,
    status: 413,
    says: /more than 32768 JSON values/,
  },
  {
    name: "open brackets on POST /",
    path: "/",
    headers: {},
    body: Buffer.alloc(4_000_000, "["),
    status: 400,
    says: /deeper than 100/,
  },
  {
    name: "open brackets to WhoAmI",
    path: rpc("Cluster/WhoAmI"),
    headers: json,
    body: Buffer.alloc(4_000_000, "["),
    status: 400,
    says: /deeper than 100/,
  },
  {
    name: "two million numbers to Describe",
    path: rpc("Log/Describe"),
    headers: json,
    body: numbers,
    status: 429,
    says: /32768 JSON values/,
  },
  {
    name: "four million bytes of keys to Describe",
    path: rpc("Log/Describe"),
    headers: json,
    body: Buffer.from(
      `{${Array.from({ length: 32_000 }, (_, at) => `"${`${at}`.padEnd(110, "k")}":1`).join()}}`,
    ),
    status: 429,
    says: /more than 262144 bytes of JSON keys/,
  },
  {
    name: "two million numbers to Describe, compressed",
    path: rpc("Log/Describe"),
    headers: { ...json, "content-encoding": "gzip" },
    body: gzipSync(numbers),
    status: 429,
    says: /32768 JSON values/,
  },
  {
    name: "two million empty records in JSON",
    path: rpc("Log/ProduceBatch"),
    headers: json,
    body: Buffer.from(`{"records":[${many("{}", 1_390_000)}]}`),
    status: 429,
    says: /more than 65536 records/,
  },
  {
    name: "headers of one record in JSON",
    path: rpc("Log/ProduceBatch"),
    headers: json,
    body: Buffer.from(`{"records":[{"headers":[${many("{}", 1_390_000)}]}]}`),
    status: 429,
    says: /4096 JSON values in one of the records/,
  },
  {
    name: "two million empty records",
    path: rpc("Log/ProduceBatch"),
    headers: proto,
    body: repeat("0a00", 2_000_000),
    status: 429,
    says: /more than 65536 records/,
  },
  {
    name: "two million unknown fields",
    path: rpc("Log/GetServers"),
    headers: proto,
    body: repeat("0800", 2_000_000),
    status: 429,
    says: /more than 32768 fields/,
  },
  {
    name: "groups inside each other",
    path: rpc("Log/GetServers"),
    headers: proto,
    body: repeat("0b", 4_000_000),
    status: 400,
    says: /deeper than 32/,
  },
  {
    name: "two million unknown fields, compressed",
    path: rpc("Cluster/WhoAmI"),
    headers: { ...proto, "content-encoding": "gzip" },
    body: gzipSync(repeat("0800", 2_000_000)),
    status: 429,
    says: /more than 32768 fields/,
  },
];

for (const { name, path, headers, body, status, says } of refused) {
  test(`${name}: is refused by a limit, nothing is written, and the event loop is not blocked`, async () => {
    const before = served.log.next;
    const turnMs = await longestTurnMs(async () => {
      const answer = await ask(path, body, headers);
      assert.equal(answer.status, status, answer.text);
      assert.match(answer.text, says);
      assert.match(answer.text, path === "/" ? /"written":"no"/ : /"code"/);
    });
    assert.equal(served.log.next, before);
    assert.ok(turnMs < turnMsMax, `one turn took ${turnMs} ms`);
  });
}

const long = (text: string): Buffer => Buffer.from(text.repeat(4_000_000 / text.length));
const holdsNoText = [
  ["a number of four million digits in a string", "Log/Consume", "offset"],
  ["a long name of an enum", "Log/Consume", "readMode"],
  ["a long string in place of a message", "Log/Produce", "record"],
] as const;
for (const [name, method, member] of holdsNoText) {
  test(`${name} is refused before it is decoded, and the response does not repeat it`, async () => {
    const body = Buffer.concat([Buffer.from(`{"${member}":"`), long("9"), Buffer.from('"}')]);
    const turnMs = await longestTurnMs(async () => {
      const answer = await ask(rpc(method), body, json);
      assert.equal(answer.status, 400);
      assert.match(answer.text, /more than 128 characters, and no text is expected/);
      assert.ok(answer.body.length < 4096, `${answer.body.length}`);
    });
    assert.ok(turnMs < turnMsMax, `one turn took ${turnMs} ms`);
  });
}

test("a key of 100,000 characters is not repeated in the response", async () => {
  const key = long("k").subarray(0, 100_000);
  const answer = await ask("/", Buffer.from(`{"${key}":1,"${key}":2}`), {});
  assert.equal(answer.status, 400);
  assert.ok(answer.body.length < 4096, `${answer.body.length}`);
});

test("a few bytes in the URL of a GET do not become a message that takes long to decode", async () => {
  for (const [compression, compress] of [
    ["br", brotliCompressSync],
    ["gzip", gzipSync],
  ] as const) {
    const message = compress(`{"a":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}}`).toString("base64url");
    const path = `${rpc("Log/Describe")}?connect=v1&encoding=json&base64=1&compression=${compression}&message=${message}`;
    const turnMs = await longestTurnMs(async () => {
      const answer = await fetch(`${served.url}${path}`);
      assert.equal(answer.status, 429);
      assert.match(await answer.text(), /a message of more than 16384 bytes/);
    });
    assert.ok(turnMs < turnMsMax, `one turn took ${turnMs} ms`);
  }
});

test("4 MiB of JSON records of 100 bytes are appended over several turns", async () => {
  const value = Buffer.alloc(100, "v").toString("base64");
  const count = 27_000;
  const body = Buffer.from(`{"records":[${many(`{"value":"${value}"}`, count)}]}`);
  assert.ok(body.length > 3.9e6 && body.length <= 4 * 1024 * 1024);
  const before = served.log.next;
  const turnMs = await longestTurnMs(async () => {
    const answer = await ask(rpc("Log/ProduceBatch"), body, json);
    assert.equal(answer.status, 200, answer.text.slice(0, 300));
    assert.equal(JSON.parse(answer.text).count, count);
  });
  assert.equal(served.log.next, before + count);
  assert.ok(turnMs < turnMsMax, `one turn took ${turnMs} ms`);
});

test("65,536 records are one batch, binary, compressed or not", async () => {
  const message = create(ProduceBatchRequestSchema, {
    records: Array.from({ length: 65_536 }, () => ({ value: Buffer.alloc(40, 1), key: Buffer.alloc(4, 2) })),
  });
  const body = toBinary(ProduceBatchRequestSchema, message);
  for (const [bytes, headers] of [
    [body, proto],
    [gzipSync(body), { ...proto, "content-encoding": "gzip" }],
  ] as const) {
    const before = served.log.next;
    const turnMs = await longestTurnMs(async () => {
      const answer = await ask(rpc("Log/ProduceBatch"), bytes, headers);
      assert.equal(answer.status, 200, answer.text.slice(0, 300));
      assert.equal(fromBinary(ProduceBatchResponseSchema, answer.body).count, 65_536);
    });
    assert.equal(served.log.next, before + 65_536);
    assert.ok(turnMs < turnMsMax, `one turn took ${turnMs} ms`);
  }
});

test("large and small messages of a JSON stream keep their order and their records", async () => {
  const batch = (from: number, count: number): Buffer => {
    const records = Array.from({ length: count }, (_, at) => ({
      value: Buffer.from(`${from + at}`).toString("base64"),
    }));
    return Buffer.from(JSON.stringify({ records }));
  };
  const body = Buffer.concat([
    encodeEnvelope(batch(0, 2)),
    encodeEnvelope(batch(2, 20_000)),
    encodeEnvelope(gzipSync(batch(20_002, 3)), 1),
    encodeEnvelope(batch(20_005, 1)),
    encodeEnvelope(gzipSync(batch(20_006, 10_000)), 1),
  ]);
  const before = served.log.next;
  const headers = { "content-type": "application/connect+json", "connect-content-encoding": "gzip" };
  const answer = await ask(rpc("Log/ProduceBulk"), body, headers);
  assert.match(answer.text, /"records":"30006","batches":"5"/);
  for (const at of [0, 1, 2, 20_001, 20_002, 20_005, 20_006, 30_005]) {
    const text = await (await fetch(`${served.url}/?offset=${before + at}`)).text();
    assert.equal(JSON.parse(text).record.value, Buffer.from(`${at}`).toString("base64"), `${at}`);
  }
});

test("an unusual message of many fields is refused by their number on the fast path", async () => {
  const session = connect(served.url);
  try {
    for (const [path, message, says] of [
      [
        rpc("Log/ProduceBatch"),
        Buffer.concat([Buffer.from("0a00", "hex"), repeat("1200", 2_000_000)]),
        /more than 32768 fields/,
      ],
      [rpc("Log/ProduceBatch"), repeat("0a00", 2_000_000), /more than 65536 records/],
      [rpc("Log/Consume"), repeat("a00600", 1_300_000), /more than 32768 fields/],
      [rpc("Log/ConsumeStream"), repeat("a306", 2_000_000), /deeper than 32/],
    ] as const) {
      const turnMs = await longestTurnMs(async () => {
        const stream = session.request({
          ":method": "POST",
          ":path": path,
          "content-type": "application/grpc",
          te: "trailers",
        });
        const said = new Promise<string>((resolve, reject) => {
          const note = (headers: object): void => {
            const text = (headers as Record<string, string>)["grpc-message"];
            if (text !== undefined) resolve(text);
          };
          stream.on("response", note);
          stream.on("trailers", note);
          stream.on("error", reject);
        });
        stream.resume();
        stream.end(encodeEnvelope(message));
        assert.match(await said, says);
      });
      assert.ok(turnMs < turnMsMax, `one turn took ${turnMs} ms`);
    }
  } finally {
    session.destroy();
  }
});

test("a client that takes a stream at once does not delay other clients", async () => {
  await using other = await serve({ fastPath: createFastPath });
  const count = 20_000;
  await other.log.append(encodeRun(Array.from({ length: count }, () => ({ value: new Uint8Array(10) }))));
  const session = connect(other.url, { settings: { initialWindowSize: 2 ** 30 } });
  await once(session, "connect");
  session.setLocalWindowSize(2 ** 30);
  const read = async (headers: Record<string, string>, body: Uint8Array): Promise<void> => {
    const stream = session.request(headers, { endStream: false });
    let bytes = 0;
    stream.on("data", (chunk: Buffer) => (bytes += chunk.length));
    stream.end(body);
    await once(stream, "close");
    assert.ok(bytes > 10 * count);
  };
  const post = { ":method": "POST", ":path": rpc("Log/ConsumeStream") };
  try {
    for (const [headers, body] of [
      [
        { ...post, "content-type": "application/connect+json" },
        encodeEnvelope(Buffer.from('{"stopAtEnd":true}')),
      ],
      [
        { ...post, "content-type": "application/grpc", te: "trailers" },
        encodeEnvelope(Buffer.from("3801", "hex")),
      ],
      [{ ":path": `/tail?from=start&limit=${count}` }, Buffer.alloc(0)],
    ] as const) {
      const turnMs = await longestTurnMs(() => read(headers, body));
      assert.ok(turnMs < turnMsMax, `one turn took ${turnMs} ms`);
    }
  } finally {
    session.destroy();
  }
});

test("a batch that is too large for a JSON message is refused before it is decoded", async () => {
  await using other = await serve();
  await other.log.append(encodeRun(Array.from({ length: 65_536 }, () => ({}))));
  const type = { "content-type": "application/connect+json" };
  const body = encodeEnvelope(Buffer.from('{"stopAtEnd":true}'));
  const turnMs = await longestTurnMs(async () => {
    const answer = await ask(rpc("Log/ConsumeBatches"), body, type, other.url);
    assert.match(
      answer.text,
      /resource_exhausted.*a batch of 65536 records is more than 4194304 bytes in JSON/s,
    );
  });
  assert.ok(turnMs < turnMsMax, `one turn took ${turnMs} ms`);
});

test("a message that arrives byte by byte is read", async () => {
  const before = served.log.next;
  const answer = await new Promise<string>((resolve, reject) => {
    const sent = httpRequest(
      `${served.url}${rpc("Log/ProduceBulk")}`,
      { method: "POST", agent: false, headers: { "content-type": "application/connect+json" } },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => resolve(text));
      },
    );
    sent.on("error", reject);
    const batch = encodeEnvelope(Buffer.from(`{"records":[${many('{"value":"QQ=="}', 1000)}]}`));
    for (let at = 0; at < batch.length; at++) sent.write(batch.subarray(at, at + 1));
    sent.end();
  });
  assert.match(answer, /"records":"1000"/);
  assert.equal(served.log.next, before + 1000);
});

/**
 * Sends the same bytes on many connections at once, from a thread of its own. Resolves when each connection has returned
 * so many responses with status 200.
 */
async function flood(connections: number, bytes: Buffer, count: number): Promise<void> {
  const work = `
    const { connect } = require("node:net");
    const { workerData: { port, connections, bytes, count }, parentPort } = require("node:worker_threads");
    let open = 0;
    let left = connections;
    const sockets = Array.from({ length: connections }, () => {
      const socket = connect(port, "127.0.0.1", () => {
        if (++open === connections) for (const one of sockets) one.write(bytes);
      });
      let text = "";
      socket.setEncoding("latin1").on("data", (chunk) => {
        text += chunk;
        if (text.split("HTTP/1.1 200").length <= count) return;
        text = "";
        if (--left > 0) return;
        for (const one of sockets) one.destroy();
        parentPort.postMessage("done");
      });
      return socket;
    });`;
  const port = Number(new URL(served.url).port);
  const worker = new Worker(work, { eval: true, workerData: { port, connections, bytes, count } });
  await once(worker, "message");
  await worker.terminate();
}

/** Returns the HTTP/1.1 request, repeated so many times. */
const pipelined = (path: string, type: string, body: string, times: number): Buffer =>
  Buffer.from(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n${body}`.repeat(
      times,
    ),
  );

test("records of many headers on 200 connections at once do not block the event loop", async () => {
  const body = `{"record":{"headers":[${many('{"key":"a"}', 1000)}]}}`;
  const bytes = pipelined("/", "application/json", body, 2);
  const turnMs = await longestTurnMs(() => flood(200, bytes, 2));
  assert.ok(turnMs < turnMsMax, `one turn took ${turnMs} ms`);
});

test("many reflection streams do not block the event loop", async () => {
  const session = connect(served.url);
  try {
    const question = encodeEnvelope(Buffer.concat([Buffer.from([0x22, 10]), Buffer.from("log.v1.Log")]));
    const turnMs = await longestTurnMs(() =>
      Promise.all(
        Array.from({ length: 200 }, async () => {
          const stream = session.request({
            ":method": "POST",
            ":path": "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "content-type": "application/grpc",
            te: "trailers",
          });
          stream.end(Buffer.concat(Array<Uint8Array>(5).fill(question)));
          stream.resume();
          await once(stream, "end");
        }),
      ),
    );
    assert.ok(turnMs < turnMsMax, `one turn took ${turnMs} ms`);
  } finally {
    session.close();
  }
});

/**
 * Compares the fast path with the other routes for what browsers and curl send: JSON, origins, `POST /`, over both
 * versions of HTTP. The same bytes go to two servers that differ only in the fast path.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import {
  openPathServer,
  type PathServer,
  send,
  type WireResponse,
} from "../../support/http/fast-path-servers.ts";
import { sendHttp1 } from "../../support/http/send-http1.ts";
import { until } from "../../support/until.ts";

let fast: PathServer;
let reference: PathServer;
const requestBytesMax = 64 * 1024;

before(async () => {
  const options = {
    origins: { origins: ["https://good.example"], hosts: [] },
    recordBytesMax: 16 * 1024,
    requestBytesMax,
  };
  fast = await openPathServer(true, options);
  reference = await openPathServer(false, options);
});

after(async () => {
  for (const { session, served } of [fast, reference]) {
    session.destroy();
    await served[Symbol.asyncDispose]();
  }
});

type Version = "HTTP/1.1" | "HTTP/2";
const versions: readonly Version[] = ["HTTP/1.1", "HTTP/2"];
type Headers = Readonly<Record<string, string>>;

const ask = (server: PathServer, version: Version, path: string, headers: Headers, body: Uint8Array) =>
  version === "HTTP/2"
    ? send(server, path, headers, body)
    : sendHttp1(server.served.port, path, headers, body);

/** What a client can observe, without the date. The ports of the servers differ. */
function observedOf({ served }: PathServer, { headers, trailers, body, reset }: WireResponse): unknown {
  const { date, ...others } = headers;
  const text = JSON.stringify({
    others: Object.entries(others).sort(),
    trailers,
    reset,
    body: body.toString("latin1"),
  });
  return { hasDate: date !== undefined, text: text.replaceAll(served.url, "SELF") };
}

interface Compared {
  readonly isFast: boolean;
  readonly text: string;
}

/** Sends the request to both servers and compares what clients see and what was appended. `SELF` in a header is the server. */
async function compare(
  version: Version,
  path: string,
  headers: Headers,
  content: Uint8Array | string,
): Promise<Compared> {
  const body = Buffer.from(content as string);
  const before = fast.fastRequests;
  const found: unknown[] = [];
  for (const server of [fast, reference]) {
    const all = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, value.replace("SELF", server.served.url)]),
    );
    found.push(observedOf(server, await ask(server, version, path, all, body)));
  }
  const label = `${version} ${path} ${JSON.stringify(headers)} ${body.toString("latin1").slice(0, 200)}`;
  assert.deepEqual(found[0], found[1], label);
  const [ends, runs] = [
    [fast.served.log.next, reference.served.log.next],
    [await lastRecord(fast), await lastRecord(reference)],
  ];
  assert.equal(ends[0], ends[1], label);
  assert.deepEqual(runs[0], runs[1], label);
  // The reference ends a call after its response.
  await until("all calls have ended", () =>
    [fast, reference].every(({ served }) => served.service.calls.openCalls === 0),
  );
  return { isFast: fast.fastRequests > before, text: (found[0] as { text: string }).text };
}

async function lastRecord({ served: { log } }: PathServer): Promise<Buffer | undefined> {
  return log.next === 0 ? undefined : Buffer.from((await log.read(log.next - 1)).frames);
}

const produce = "/log.v1.Log/Produce";
const produceBatch = "/log.v1.Log/ProduceBatch";
const consume = "/log.v1.Log/Consume";
const json = { "content-type": "application/json" };
const record = '{"record":{"value":"QUJD"}}';
const big = Buffer.alloc(6000, "x").toString("base64");

/** Bodies of Produce in JSON: forms that clients send, unusual ones, and ones that are refused. */
const produceBodies: readonly (string | Uint8Array)[] = [
  record,
  '{"record":{}}',
  '{"record":{"value":""}}',
  '{"record":{"value":"QUI="}}',
  '{"record":{"value":"QQ=="}}',
  '{"record":{"value":"QUJD","key":"a2V5"}}',
  '{"record":{"key":"a2V5","value":"QUJD"}}',
  '{"record":{"key":"a2V5"}}',
  ' \r\n\t{ "record" : { "value" : "QUJD" } } \n',
  '{"record":{"value":"QUJD"},"log":"default"}',
  '{"log":"default","record":{"value":"QUJD"}}',
  '{"log":"","record":{"value":"QUJD"}}',
  '{"record":{"value":"QUJD"},"log":"no such log"}',
  '{"record":{"value":"QUJD"},"log":"caf\u00e9"}',
  '{"record":{"value":"QUJD"},"log":"a\\u0062"}',
  '{"record":{"value":"QUJD"},"logId":"1-2"}',
  '{"record":{"value":"QUJD","headers":[{"key":"h","value":"QQ=="}]}}',
  '{"record":{"value":"QUJD","offset":"5","term":"1","type":0,"timestampMs":"9"}}',
  '{"record":{"value":"QUJD","offset":5}}',
  '{"record":{"value":"QUJD"},"expectedOffset":"7777"}',
  '{"record":{"value":"QUJD"},"expected_offset":7777}',
  '{"record":{"value":"QUJD"},"producer":{"id":"1","epoch":1,"sequence":"0"}}',
  '{"record":{"value":"QUJD"},"unknown":[{"a":[1,2,{}]}]}',
  // Other alphabets, and base64 that is not canonical.
  '{"record":{"value":"-_-_"}}',
  '{"record":{"value":"QQ"}}',
  '{"record":{"value":"QR=="}}',
  '{"record":{"value":"QUJ="}}',
  '{"record":{"value":"QU\\u004aD"}}',
  '{"record":{"value":"Q U J D"}}',
  '{"record":{"value":"QUJ"}}',
  '{"record":{"value":"Q"}}',
  '{"record":{"value":"===="}}',
  '{"record":{"value":"Q==="}}',
  '{"record":{"value":"QQ==QQ=="}}',
  '{"record":{"value":"QU\u00e9D"}}',
  '{"record":{"value":5}}',
  '{"record":{"value":null}}',
  '{"record":null}',
  '{"record":[]}',
  '{"record":{"value":"QUJD","value":"QQ=="}}',
  '{"record":{"value":"QUJD"},"record":{"value":"QQ=="}}',
  "{}",
  "[]",
  "null",
  "5",
  '"text"',
  "",
  " ",
  "{",
  '{"record"',
  '{"record":',
  '{"record":{',
  '{"record":{"value":"QUJD',
  '{"record":{"value":"QUJD"',
  '{"record":{"value":"QUJD"}',
  '{"record":{"value":"QUJD"}},',
  '{"record":{"value":"QUJD"}}{}',
  '{"record":{"value":"QUJD",}}',
  '{"record":{"value":"QUJD"},}',
  '{"record" {"value":"QUJD"}}',
  '{"recorded":{"value":"QUJD"}}',
  '{"__proto__":{"value":"QUJD"}}',
  '\ufeff{"record":{"value":"QUJD"}}',
  Buffer.from('{"record":{"value":"QUJD"},"log":"\xff"}', "latin1"),
  Buffer.from([0xff, 0xfe, 0x00]),
  '{"record":{"value":"QUJD"},"log":"\\ud800"}',
  // Large ones take other checks.
  `{"record":{"value":"${big}"}}`,
  `{"record":{"value":"${big}","key":"QQ=="}}`,
  `{"record":{"value":"${big}"},"log":"no such log"}`,
  `{"record":{"value":"${big}","offset":"${"1".repeat(200)}"}}`,
  `{"record":{"value":"${big}"},"x":${"[".repeat(200)}${"]".repeat(200)}}`,
  `{"record":{"value":"${big}`,
  `{"record":{"value":"${Buffer.alloc(20_000).toString("base64")}"}}`,
  `{"record":{"value":"${"A".repeat(requestBytesMax)}"}}`,
];

test("Produce in JSON reads the same from every form, and refuses the others with the same errors", async () => {
  for (const version of versions) {
    for (const body of produceBodies) {
      const { isFast } = await compare(version, produce, json, body);
      assert.ok(isFast, `${version}: the fast path serves it`);
    }
  }
});

const many = (count: number, each = '{"value":"QUJD"}'): string =>
  `{"records":[${Array(count).fill(each).join()}]}`;

test("ProduceBatch in JSON, small and large", async () => {
  const bodies = [
    many(1),
    many(3),
    many(3, '{"value":"QUJD","key":"QQ=="}'),
    many(2, "{}"),
    many(0),
    '{"records":[],"log":"default"}',
    `{"log":"default",${many(2).slice(1)}`,
    many(2, "null"),
    many(2, "5"),
    '{"records":[{"value":"QUJD"},]}',
    '{"records":{"value":"QUJD"}}',
    '{"records":[{"value":"QUJD"}],"records":[{"value":"QQ=="}]}',
    '{"records":[{"value":"QUJD"},{"value":"!"}]}',
    '{"records":[{"value":"QUJD"}],"expectedOffset":"9999"}',
    many(1000),
    many(1000, ' {\n"value" : "QUJD" }'),
    many(500, '{"value":"QUJD","headers":[{"key":"k","value":"QQ=="}]}'),
    `${many(1000).slice(0, -2)},{"value":"!"}]}`,
    `${many(1000).slice(0, -2)},{"value":"${Buffer.alloc(20_000).toString("base64")}"}]}`,
    many(1000).slice(0, -1),
    `${many(1000).slice(0, -1)},"log":"no such log"}`,
    many(70_000, "{}"),
    '{"record":{"value":"QUJD"}}',
  ];
  for (const version of versions) {
    for (const body of bodies) {
      const { isFast } = await compare(version, produceBatch, json, body);
      assert.ok(isFast, `${version}: the fast path serves it`);
    }
  }
});

test("Consume in JSON shows every part of a record, or the same error", async () => {
  const bodies = [
    "{}",
    '{"offset":"0"}',
    '{"offset":3}',
    '{"last":"1"}',
    '{"offset":"99999999"}',
    '{"offset":"-1"}',
    '{"offset":"x"}',
    '{"readMode":"ANY"}',
    '{"readMode":"NO_SUCH_MODE"}',
    '{"readMode":99}',
    '{"offset":"99999999","waitMs":5}',
    '{"log":"no such log"}',
    "",
    "[",
  ];
  for (const version of versions) {
    await compare(
      version,
      produce,
      json,
      '{"record":{"value":"QUJD","key":"QQ==","headers":[{"key":"h","value":"QQ=="}]}}',
    );
    for (const body of bodies) {
      const { isFast } = await compare(version, consume, json, body);
      assert.ok(isFast, `${version}: the fast path serves it`);
    }
  }
});

/** ProduceRequest { record { value: "A" } }, and the same with its prefix. */
const binary = Buffer.from("0a030a0141", "hex");
const enveloped = Buffer.from(`0000000005${binary.toString("hex")}`, "hex");
type Content = readonly [path: string, type: string, body: Uint8Array | string, wrong: Uint8Array | string];
/** Requests that are served, and bodies that are refused. */
const contents: readonly Content[] = [
  [produce, "application/proto", binary, "\xff"],
  [produce, "application/json", record, "{"],
  [produce, "application/grpc-web+proto", enveloped, Buffer.alloc(5)],
  ["/", "application/x-www-form-urlencoded", record, "{"],
];

test("pages of this server and of a listed site are served here, with the headers for browsers", async () => {
  for (const version of versions) {
    for (const [path, type, body, wrong] of contents) {
      for (const [headers, sees] of [
        [{ origin: "SELF", "sec-fetch-site": "same-origin" }, /"vary","Origin"/],
        [{ origin: "SELF" }, /"vary","Origin"/],
        [{ "sec-fetch-site": "same-origin" }, /nosniff/],
        [{ "sec-fetch-site": "none" }, /nosniff/],
        [
          { origin: "https://good.example", "sec-fetch-site": "cross-site" },
          /allow-origin","https:\/\/good.example"/,
        ],
        [{ origin: "https://proxy.example", "sec-fetch-site": "same-origin" }, /"vary","Origin"/],
        [
          { origin: "SELF", cookie: "a=b; c=d", "accept-encoding": "gzip, br", "user-agent": "Mozilla/5.0" },
          /vary/,
        ],
      ] as const) {
        const { isFast, text } = await compare(version, path, { "content-type": type, ...headers }, body);
        assert.match(text, sees);
        assert.ok(isFast, `${version} ${path} ${JSON.stringify(headers)}: the fast path serves it`);
        // The headers are also those of an error.
        const failed = await compare(version, path, { "content-type": type, ...headers }, wrong);
        assert.match(failed.text, sees);
      }
    }
  }
});

test("a page of another site is refused, before and after the pages that are allowed", async () => {
  for (const version of versions) {
    for (const [path, type, body] of contents) {
      for (const headers of [
        { origin: "https://evil.example" },
        { origin: "null" },
        { origin: "" },
        { origin: "https://good.example.evil.example" },
        { origin: "HTTPS://GOOD.EXAMPLE" },
        { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
        { origin: "http://127.0.0.1.evil.example" },
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { "sec-fetch-site": "" },
        { "sec-fetch-site": "same-origin, same-origin" },
        { host: "evil.example", origin: "http://evil.example" },
      ] as Headers[]) {
        const { text } = await compare(version, path, { "content-type": type, ...headers }, body);
        assert.match(text, /permission_denied|grpc-status.{1,5}7/);
      }
    }
  }
});

test("POST / reads the same from every form, and refuses the others with the same errors", async () => {
  const bodies: readonly (string | Uint8Array)[] = [
    ...produceBodies,
    '{"record":{"value":"QUJD"},"log":"a"}',
    '{"record":{"value":"QUJD"},"log_id":"1-2"}',
    '{"record":{"value":"QU\\nJD"}}',
  ];
  for (const version of versions) {
    for (const body of bodies) await compare(version, "/", json, body);
    for (const headers of [
      { "content-encoding": "gzip" },
      { "content-encoding": "identity" },
      { "tailrace-forward": "no" },
      { expect: "100-continue" },
      { expect: "nothing" },
      {} as Headers,
    ])
      await compare(version, "/", headers as Headers, record);
    await compare(version, "/?offset=1", json, record);
    await compare(version, "/?log=a", json, record);
  }
});

test("faults of the log are reported the same, with what they say about the write", async () => {
  const faults = [
    () => new Fault("disk-full"),
    () => new Fault("unknown", { written: "unknown" }),
    () => new Fault("not-leader", { facts: { leader: "a.example", address: "127.0.0.1:1" } }),
    () => new Fault("overloaded"),
    () => new Fault("unavailable", { written: "unknown" }),
  ];
  for (const version of versions) {
    for (const [path, type, body] of contents) {
      for (const fault of faults) {
        fast.served.log.failNext = fault();
        reference.served.log.failNext = fault();
        await compare(version, path, { "content-type": type, origin: "SELF" }, body);
      }
    }
  }
});

test("headers that change a call have the same effect", async () => {
  const headers: Headers[] = [
    { "connect-protocol-version": "1" },
    { "connect-protocol-version": "2" },
    { "connect-timeout-ms": "5000" },
    { "connect-timeout-ms": "99999999999" },
    { "connect-timeout-ms": "x" },
    { "content-encoding": "identity" },
    { "content-encoding": "gzip" },
    { "content-encoding": "unknown" },
    { "accept-encoding": "identity" },
    { "x-request-id": "an id" },
    {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "tailrace-trace-record": "yes",
    },
  ];
  for (const version of versions) {
    for (const [path, type, body] of contents.slice(0, 2)) {
      for (const each of headers) await compare(version, path, { "content-type": type, ...each }, body);
    }
    for (const type of [
      "application/json; charset=utf-8",
      "APPLICATION/JSON",
      "application/json; charset=latin1",
      "text/plain",
    ]) {
      await compare(version, produce, { "content-type": type }, record);
    }
  }
});

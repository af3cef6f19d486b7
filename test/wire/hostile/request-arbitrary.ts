/**
 * Generates connections from a seed: requests that are valid, nearly valid or broken, over HTTP/1.1 and HTTP/2, in every
 * protocol and on every kind of route; bytes of peers and of gossip; and random bytes.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import {
  ConsumeRequestSchema,
  ProduceBatchRequestSchema,
  ProduceRequestSchema,
} from "../../../src/gen/log/v1/log_pb.js";
import { encodeBlock } from "../../../src/http2/hpack/encode-block.ts";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import { frame, preface, u32 } from "../../support/http/h2-harness.ts";
import { mutate } from "./fuzz.ts";

export interface GeneratedConnection {
  readonly bytes: Buffer;
  /** Number of requests in it, at least 1. */
  readonly cases: number;
}

type Field = [name: string, value: string];

const methods = [
  "log.v1.Log/Produce",
  "log.v1.Log/ProduceBatch",
  "log.v1.Log/ProduceStream",
  "log.v1.Log/ProduceBulk",
  "log.v1.Log/Consume",
  "log.v1.Log/ConsumeStream",
  "log.v1.Log/ConsumeBatches",
  "log.v1.Log/GetServers",
  "log.v1.Log/Describe",
  "log.v1.Log/Watch",
  "log.v1.Logs/CreateLog",
  "log.v1.Logs/ListLogs",
  "log.v1.Cluster/Members",
  "log.v1.Cluster/Status",
  "log.v1.Cluster/WhoAmI",
  "log.v1.Cluster/Query",
  "grpc.health.v1.Health/Check",
  "grpc.health.v1.Health/Watch",
  "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "log.v1.Log/Nothing",
  "no.Service/Method",
] as const;
const routes = [
  "/",
  "/?offset=0",
  "/?offset=x",
  "/tail",
  "/tail?from=start&limit=2",
  "/tail?from=",
  "/ui/",
  "/ui",
  "/x",
  "*",
];
const types = [
  "application/grpc",
  "application/grpc+proto",
  "application/grpc+json",
  "application/grpc-web+proto",
  "application/grpc-web-text",
  "application/connect+proto",
  "application/connect+json",
  "application/proto",
  "application/json",
  "application/grpc+foo",
  "text/plain",
] as const;
const verbs = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "CONNECT", "TRACE", "PRI", "G T"];
/** Header fields that change the meaning of a request, or that HTTP/2 forbids. */
const oddFields: readonly Field[] = [
  ["expect", "100-continue"],
  ["expect", "a miracle"],
  ["http2-settings", "AAMAAABk"],
  ["upgrade", "h2c"],
  ["connection", "close"],
  ["connection", "upgrade, http2-settings"],
  ["transfer-encoding", "chunked"],
  ["transfer-encoding", "gzip, chunked"],
  ["te", "trailers"],
  ["te", "gzip"],
  ["content-length", "0"],
  ["content-length", "3"],
  ["content-length", "99999999999999999999"],
  ["content-length", "-1"],
  ["content-encoding", "gzip"],
  ["grpc-encoding", "gzip"],
  ["grpc-timeout", "1m"],
  ["grpc-timeout", "99999999H"],
  ["connect-timeout-ms", "1"],
  ["connect-protocol-version", "2"],
  ["origin", "http://elsewhere.example"],
  ["origin", "http://localhost"],
  ["host", "elsewhere.example"],
  ["accept", "text/html"],
  ["accept", "application/x-ndjson"],
  ["last-event-id", "-1"],
  ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  ["x-upper", "\u00ff"],
  ["X-Upper", "1"],
  ["", "1"],
  ["x", " 1\r\ny: 2"],
  [":protocol", "websocket"],
  [":status", "200"],
  [":path", "/again"],
  ["cookie", "a=b"],
];

const wholeBodies = (() => {
  const record = { value: Buffer.from("a value"), key: Buffer.from("k") };
  const messages = [
    toBinary(ProduceRequestSchema, create(ProduceRequestSchema, { record })),
    toBinary(ProduceBatchRequestSchema, create(ProduceBatchRequestSchema, { records: [record, record] })),
    toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { offset: 0n, maxRecords: 2n })),
    toBinary(ProduceRequestSchema, create(ProduceRequestSchema, { record, log: "a/b", logId: "1-2" })),
    toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { log: "a/b", logId: "1-2" })),
    toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { start: { case: "fromEnd", value: true } })),
    new Uint8Array(0),
  ].map((message) => Buffer.from(message));
  const json = ['{"record":{"value":"eA=="}}', '{"offset":"0","maxRecords":"1"}', "{}", '{"offset":0}'].map(
    (text) => Buffer.from(text),
  );
  return { messages, json };
})();

function bodyOf(random: Prng, type: string): Buffer {
  const text = type.includes("json") || type === "text/plain";
  const message = random.pick(text ? wholeBodies.json : wholeBodies.messages);
  let body = message;
  if (/grpc|connect\+/.test(type)) {
    const envelopes = Array.from({ length: random.chance(0.8) ? 1 : random.between(0, 3) }, () => {
      const envelope = Buffer.from(encodeEnvelope(message));
      if (random.chance(0.05)) envelope[0] = random.between(0, 255);
      if (!random.chance(0.95)) envelope.writeUInt32BE(random.uint32() >>> random.between(0, 24), 1);
      return envelope;
    });
    body = Buffer.concat(envelopes);
  }
  if (type.includes("web-text")) body = Buffer.from(body.toString("base64"));
  return random.chance(0.3) ? mutate(random, body) : body;
}

interface Request {
  verb: string;
  path: string;
  fields: Field[];
  body: Buffer;
}

function drawRequest(random: Prng): Request {
  const isRpc = random.chance(0.7);
  const type = random.pick(types);
  const fields: Field[] = isRpc || random.chance(0.3) ? [["content-type", type]] : [];
  if (isRpc && random.chance(0.7)) fields.push(["te", "trailers"]);
  for (let more = random.chance(0.6) ? 0 : random.between(1, 3); more > 0; more--) {
    const [name, value] = random.pick(oddFields);
    fields.push([name, value]);
  }
  const verb = random.chance(0.85) ? (isRpc || random.chance(0.5) ? "POST" : "GET") : random.pick(verbs);
  const path = isRpc ? `/${random.pick(methods)}` : random.pick(routes);
  return { verb, path, fields, body: bodyOf(random, isRpc ? type : "application/json") };
}

// HTTP/2.

/** Returns the frames of one request, correct or with one mistake. */
function requestFrames(random: Prng, id: number): Buffer[] {
  const { verb, path, fields, body } = drawRequest(random);
  const pseudo: Field[] = [
    [":method", verb],
    [":scheme", "http"],
    [":path", path],
    [
      ":authority",
      random.chance(0.97) ? "localhost" : random.pick(["elsewhere", "", "::1:80", "a@b", "[::1]:1"]),
    ],
  ];
  if (verb === "CONNECT" && random.chance(0.5)) pseudo.splice(1, 2);
  if (random.chance(0.03)) pseudo.splice(random.between(0, 3), 1);
  const all = random.chance(0.02) ? random.shuffle([...pseudo, ...fields]) : [...pseudo, ...fields];
  let block = encodeBlock(all);
  if (random.chance(0.003)) block = mutate(random, block);
  const endsAtHeaders = body.length === 0 && random.chance(0.5);
  const frames: Buffer[] = [];
  if (random.chance(0.05) && block.length > 2) {
    const at = random.between(1, block.length - 1);
    const halves = [
      frame(1, endsAtHeaders ? 1 : 0, id, block.subarray(0, at)),
      frame(9, 4, id, block.subarray(at)),
    ];
    // A header block must not be interrupted. Rarely it is.
    if (random.chance(0.98)) frames.push(Buffer.concat(halves));
    else frames.push(...halves);
  } else frames.push(frame(1, endsAtHeaders ? 5 : 4, id, block));
  if (!endsAtHeaders) {
    const cut = random.chance(0.2) ? random.between(0, body.length) : body.length;
    const last = random.chance(0.85);
    if (cut < body.length) frames.push(frame(0, 0, id, body.subarray(0, cut)));
    const rest = body.subarray(cut === body.length ? 0 : cut);
    if (random.chance(0.1))
      frames.push(frame(0, 8, id, Buffer.concat([Buffer.from([3]), rest, Buffer.alloc(3)])));
    else frames.push(frame(0, last ? 1 : 0, id, rest));
  }
  if (random.chance(0.25)) frames.push(extraFrame(random, id));
  return frames;
}

/** Returns a frame to send after or during a request. */
function extraFrame(random: Prng, id: number): Buffer {
  // Trailers after the end of a request end the connection, so they are rare.
  const kind = random.between(0, 9);
  switch (kind < 3 && random.chance(0.7) ? 3 : kind) {
    case 0:
      return frame(0, random.between(0, 1), id, Buffer.from("more"));
    case 1:
      return frame(1, 5, id, encodeBlock([["checksum", "1"]]));
    case 2:
      return frame(1, 4, id, encodeBlock([["checksum", "1"]]));
    case 3:
    case 4:
    case 5:
      return frame(3, 0, id, u32(random.between(0, 14)));
    case 6:
      return frame(8, 0, random.chance(0.5) ? id : 0, u32(random.pick([1, 1000, 0x7fff_ffff])));
    case 7:
      return frame(2, 0, id, Buffer.alloc(random.chance(0.8) ? 5 : 4));
    case 8:
      return frame(4, 0, 0, Buffer.concat([Buffer.from([0, 4]), u32(random.pick([0, 10, 65_535, 1 << 20]))]));
    default:
      return frame(
        random.between(10, 255),
        random.between(0, 255),
        random.chance(0.5) ? id : 0,
        Buffer.from("?"),
      );
  }
}

/** Returns many requests on one connection, with the frames of neighbors mixed. */
function drawH2(random: Prng, requests: number): Buffer {
  const settings = random.chance(0.9)
    ? Buffer.alloc(0)
    : Buffer.concat([Buffer.from([0, 4]), u32(random.pick([0, 100]))]);
  const out = [preface, frame(4, 0, 0, settings)];
  const waiting: Buffer[][] = [];
  for (let at = 0; at < requests; at++) {
    waiting.push(requestFrames(random, 2 * at + 1));
    out.push(waiting[at]!.shift() as Buffer);
    while (random.chance(0.6)) {
      const frames = waiting[random.between(Math.max(0, at - 3), at)] as Buffer[];
      const next = frames.shift();
      if (next !== undefined) out.push(next);
    }
  }
  for (const frames of waiting) out.push(...frames);
  if (random.chance(0.05)) out.push(frame(7, 0, 0, Buffer.alloc(8)));
  return Buffer.concat(out);
}

// HTTP/1.1.

function drawHttp1(random: Prng, requests: number): Buffer {
  const out: Buffer[] = [];
  for (let at = 0; at < requests; at++) {
    const { verb, path, fields, body } = drawRequest(random);
    const target = random.chance(0.95)
      ? path
      : random.pick([`http://localhost${path}`, "http://", "x", "localhost:80", ""]);
    const lines = [`${verb} ${target} HTTP/1.${random.chance(0.97) ? 1 : random.between(0, 9)}`];
    if (random.chance(0.97)) lines.push(`host: ${random.chance(0.97) ? "localhost" : "elsewhere"}`);
    for (const [name, value] of fields) if (!name.startsWith(":")) lines.push(`${name}: ${value}`);
    const chunked = random.chance(0.3);
    const length = random.chance(0.95) ? body.length : random.between(0, 2 * body.length + 1);
    if (chunked) lines.push("transfer-encoding: chunked");
    else if (body.length > 0 || random.chance(0.3)) lines.push(`content-length: ${length}`);
    out.push(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"));
    if (chunked) out.push(Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from("\r\n0\r\n\r\n"));
    else out.push(body);
  }
  const bytes = Buffer.concat(out);
  return random.chance(0.1) ? mutate(random, bytes) : bytes;
}

const otherOpenings = [
  "a7",
  "a701000000",
  "0682a3",
  "00",
  "0a",
  "f40361626382",
  "16030102000100",
  "1603",
  "80808080",
];

/** Returns the bytes of a connection, mostly HTTP/2, sometimes cut at any byte. */
export function drawConnection(random: Prng, requestsMax: number): GeneratedConnection {
  const kind = random.float();
  let bytes: Buffer;
  let cases = 1;
  if (kind < 0.8) {
    cases = random.between(1, requestsMax);
    bytes = drawH2(random, cases);
  } else if (kind < 0.97) {
    cases = random.between(1, Math.min(8, requestsMax));
    bytes = drawHttp1(random, cases);
  } else {
    const opening = Buffer.from(random.pick(otherOpenings), "hex");
    const noise = Buffer.from(
      Uint8Array.from({ length: random.between(0, 200) }, () => random.between(0, 255)),
    );
    bytes = Buffer.concat([opening, noise]);
  }
  if (random.chance(0.02)) bytes = mutate(random, bytes);
  if (random.chance(0.2)) bytes = bytes.subarray(0, random.between(0, bytes.length));
  return { bytes, cases };
}

/**
 * Readers that are far behind read into reused buffers. Each client must receive exactly what the log holds, however
 * slowly it reads, over plaintext and over TLS.
 */
import assert from "node:assert/strict";
import { type ClientHttp2Session, connect } from "node:http2";
import { after, before, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createFastPath } from "../../../src/api/fast-path/fast-path.ts";
import { ConsumeRequestSchema, ConsumeResponseSchema } from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { prng } from "../../../src/lib/prng.ts";
import { checkFrame, decodeRecord, frameBytes, RecordCursor } from "../../../src/log/mod.ts";
import { NodeTls } from "../../../src/server/tls/node-tls.ts";
import { envelopesOf } from "../../support/http/fast-path-servers.ts";
import { type Served, serve } from "../../support/http/serve.ts";
import { run } from "../../support/log/logs.ts";
import { type OneNodeLog, openOneNode } from "../../support/log/one-node-log.ts";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import { scratchDirectory } from "../../support/scratch.ts";

const records = 12_000;
const perBatch = 60;
const valueAt = (offset: number): string =>
  `${offset}:`.padEnd(1000, String.fromCharCode(97 + (offset % 26)));

const scratch = scratchDirectory();
let real: OneNodeLog;
let plain: Served;
let secure: Served;
const sessions: ClientHttp2Session[] = [];
let tlsOptions: { ca: string; cert: string; key: string };

before(async () => {
  // Nothing is cached, so every byte is read from disk, from many segments.
  real = await openOneNode(scratch.path, { segmentStoreBytesMax: 2 ** 21 }, { frameCacheBytesMax: 0 });
  const appends: Promise<unknown>[] = [];
  for (let at = 0; at < records; at += perBatch) {
    appends.push(real.append(run(...Array.from({ length: perBatch }, (_, n) => valueAt(at + n)))));
    if (appends.length % 20 === 0) await Promise.all(appends);
  }
  await Promise.all(appends);
  const authority = await testAuthority();
  const files = writeTlsFiles(scratch.path, "node", await authority.node(), authority.issued);
  const client = await authority.client("root");
  tlsOptions = { ca: authority.issued.certificatePem, cert: client.certificatePem, key: client.keyPem };
  plain = await serve({ log: real.replica.log, fastPath: createFastPath });
  secure = await serve({
    log: real.replica.log,
    fastPath: createFastPath,
    tls: new NodeTls({ server: files, clientAuth: "require" }),
  });
});

after(async () => {
  for (const session of sessions) session.destroy();
  await plain[Symbol.asyncDispose]();
  await secure[Symbol.asyncDispose]();
  await real[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

/** Reads the whole log on its own connection, with random pauses if `pauses`. Returns the envelopes. */
function readAll(server: Served, path: string, seed: string, pauses: boolean): Promise<Buffer[]> {
  const session = connect(server.url, {
    ...tlsOptions,
    servername: "localhost",
    settings: { initialWindowSize: 300_000 },
  });
  sessions.push(session);
  const chance = prng(seed);
  return new Promise((resolve, reject) => {
    session.on("error", reject);
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc+proto",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (!pauses || !chance.chance(0.03)) return;
      stream.pause();
      setTimeout(() => stream.resume(), chance.between(0, 15));
    });
    stream.on("error", reject);
    stream.on("end", () => resolve(envelopesOf(Buffer.concat(chunks)).map(({ envelope }) => envelope)));
    stream.end(
      encodeEnvelope(toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { stopAtEnd: true }))),
    );
  });
}

function checkBatches(messages: readonly Buffer[]): void {
  let offset = 0;
  for (const frame of messages) {
    assert.equal(checkFrame(frame, 0, frame.length), undefined, `the batch at offset ${offset} is sound`);
    assert.equal(frameBytes(frame, 0), frame.length);
    const cursor = new RecordCursor(frame);
    while (cursor.next()) {
      assert.equal(cursor.offset, offset);
      const { value } = decodeRecord(frame, cursor.start, cursor.end);
      assert.equal(Buffer.from(value).toString(), valueAt(offset));
      offset++;
    }
  }
  assert.equal(offset, records);
}

function checkRecords(messages: readonly Buffer[]): void {
  for (const [offset, message] of messages.entries()) {
    const { record } = fromBinary(ConsumeResponseSchema, message.subarray(5));
    assert.equal(Number(record?.offset), offset);
    assert.equal(Buffer.from(record?.value ?? []).toString(), valueAt(offset));
  }
  assert.equal(messages.length, records);
}

for (const name of ["plaintext", "TLS"] as const) {
  const server = (): Served => (name === "TLS" ? secure : plain);

  test(`over ${name} a fast or a slow reader receives every batch as the log holds it`, async () => {
    checkBatches(await readAll(server(), "/log.v1.Log/ConsumeBatches", `${name} quick`, false));
    checkBatches(await readAll(server(), "/log.v1.Log/ConsumeBatches", `${name} slow`, true));
  });

  test(`over ${name} five readers of batches and of records do not overwrite each other's bytes`, async () => {
    const [batches, records] = await Promise.all([
      Promise.all(
        [1, 2, 3].map((n) => readAll(server(), "/log.v1.Log/ConsumeBatches", `${name} batches ${n}`, n > 1)),
      ),
      Promise.all(
        [1, 2].map((n) => readAll(server(), "/log.v1.Log/ConsumeStream", `${name} records ${n}`, n > 1)),
      ),
    ]);
    for (const messages of batches) checkBatches(messages);
    for (const messages of records) checkRecords(messages);
  });
}

test("a reader that disconnects midway returns its buffers to the pool", async () => {
  for (let round = 0; round < 5; round++) {
    const session = connect(plain.url);
    session.on("error", () => undefined);
    const stream = session.request({
      ":method": "POST",
      ":path": "/log.v1.Log/ConsumeBatches",
      "content-type": "application/grpc+proto",
      te: "trailers",
    });
    stream.on("error", () => undefined);
    stream.end(encodeEnvelope(toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, {}))));
    await new Promise((resolve) => stream.once("data", resolve));
    session.destroy();
  }
  checkBatches(await readAll(plain, "/log.v1.Log/ConsumeBatches", "after", true));
});

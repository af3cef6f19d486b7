/** The RPC Backup on the wire: on the fast path, and by Connect's handler, which is the reference. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { adminOperations, type ClusterAdmin } from "../../../src/api/methods/admin-operations.ts";
import { Fault } from "../../../src/fault.ts";
import { BackupResponseSchema, Cluster } from "../../../src/gen/log/v1/log_pb.js";
import { crc32 } from "../../../src/lib/checksum.ts";
import { encodeEnvelope, envelopeBytes, envelopeFlag } from "../../../src/lib/envelope.ts";
import { openPathServer, type PathServer } from "../../support/http/fast-path-servers.ts";
import { until } from "../../support/until.ts";

/** A server with this log, with or without the fast path for Backup. */
async function open(isFast: boolean, backup: ClusterAdmin["backup"]) {
  const operations = adminOperations({
    add: async () => undefined,
    remove: async () => undefined,
    transfer: async () => "",
    backup,
  });
  const server = await openPathServer(isFast, { operations, ...(isFast ? { backup } : {}) });
  const close = async (): Promise<void> => {
    server.session.destroy();
    await server.served[Symbol.asyncDispose]();
  };
  return {
    ...server,
    get fastRequests() {
      return server.fastRequests;
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Clients of each protocol, over HTTP/2, and of Connect over HTTP/1.1. */
function clientsOf({
  served: { url: baseUrl },
}: Pick<PathServer, "served">): Record<string, Client<typeof Cluster>> {
  const httpVersion = "2" as const;
  return {
    grpc: createClient(Cluster, createGrpcTransport({ baseUrl })),
    "grpc-web": createClient(Cluster, createGrpcWebTransport({ baseUrl, httpVersion })),
    connect: createClient(Cluster, createConnectTransport({ baseUrl, httpVersion })),
    "HTTP/1.1": createClient(Cluster, createConnectTransport({ baseUrl, httpVersion: "1.1" })),
  };
}

const large = Buffer.alloc(512 * 1024, "a");
const parts = [
  { file: "snapshot", position: 0, fileBytes: 3, data: Buffer.from("abc") },
  undefined,
  { file: "1.frames", position: 0, fileBytes: 2 * large.length, data: large },
  { file: "1.frames", position: large.length, fileBytes: 2 * large.length, data: large.subarray(0) },
  // The CRC-32 of these bytes is 0.
  { file: "zero", position: 0, fileBytes: 4, data: Buffer.from("9d0ad96d", "hex") },
  { file: "", position: 2 ** 40, fileBytes: 2 ** 41, data: Buffer.alloc(0) },
];

test("the fast path sends the parts that Connect's handler sends, in every protocol", async () => {
  const asked: unknown[] = [];
  const backup: ClusterAdmin["backup"] = (...request) => {
    asked.push(request);
    return parts;
  };
  await using fast = await open(true, backup);
  await using reference = await open(false, backup);
  const request = { have: ["a", "b"], afterIndex: 7n, afterCrc32: 8 };
  const [fastClients, referenceClients] = [clientsOf(fast), clientsOf(reference)];
  for (const name of Object.keys(fastClients)) {
    const found = await Array.fromAsync(fastClients[name]!.backup(request));
    const expected = await Array.fromAsync(referenceClients[name]!.backup(request));
    assert.equal(found.length, 5, name);
    for (const [at, one] of found.entries()) {
      const bytes = toBinary(BackupResponseSchema, one);
      assert.equal(Buffer.compare(bytes, toBinary(BackupResponseSchema, expected[at]!)), 0, name);
      assert.equal(one.crc32, crc32(one.data));
    }
  }
  assert.equal(crc32(parts[4]!.data), 0);
  // Connect answers a request of HTTP/1.1 in chunks.
  assert.deepEqual([fast.fastRequests, reference.fastRequests], [3, 0]);
  for (const one of asked) assert.deepEqual(one, [["a", "b"], { index: 7, crc: 8 }]);
  await Array.fromAsync(fastClients["grpc"]!.backup({}));
  assert.deepEqual(asked.at(-1), [[], undefined]);
});

test("a backup that fails at its start or later ends with the same error on both paths", async () => {
  for (const sent of [[], parts.slice(0, 3)]) {
    const backup: ClusterAdmin["backup"] = function* () {
      yield* sent;
      throw new Fault("failed-precondition", { message: "another history" });
    };
    await using fast = await open(true, backup);
    await using reference = await open(false, backup);
    for (const server of [fast, reference]) {
      for (const [name, client] of Object.entries(clientsOf(server))) {
        const reading = Array.fromAsync(client.backup({}));
        await assert.rejects(reading, { code: 9, rawMessage: "another history" }, name);
      }
    }
    assert.equal(fast.fastRequests, 3);
  }
});

test("a client that reads slowly holds the backup, and one that goes away ends it", async () => {
  let sent = 0;
  let isEnded = false;
  const backup: ClusterAdmin["backup"] = function* () {
    try {
      for (; sent < 1000; sent++) yield parts[2];
    } finally {
      isEnded = true;
    }
  };
  await using fast = await open(true, backup);
  const abort = new AbortController();
  const reading = clientsOf(fast)["grpc"]!.backup({}, { signal: abort.signal })[Symbol.asyncIterator]();
  await reading.next();
  const waits = async (): Promise<boolean> => {
    const before = sent;
    await new Promise((resolve) => setTimeout(resolve, 50));
    return sent === before;
  };
  await until("the backup waits for its client", waits);
  assert.ok(sent < 100, String(sent));
  assert.equal(isEnded, false);
  abort.abort();
  await until("the backup has ended", () => isEnded);
  await assert.rejects(async () => {
    for (;;) if ((await reading.next()).done === true) throw new Error("ended");
  });
});

/** The messages of a body of Connect, before the end of the stream. */
function* messagesOf(body: Buffer): Generator<{ readonly flags: number; readonly message: Buffer }> {
  for (let at = 0; (body[at]! & envelopeFlag.endStream) === 0; ) {
    const end = at + envelopeBytes + body.readUInt32BE(at + 1);
    yield { flags: body[at]!, message: body.subarray(at + envelopeBytes, end) };
    at = end;
  }
}

test("the parts of a backup are not compressed for a client that accepts it", async () => {
  for (const isFast of [true, false]) {
    await using server = await open(isFast, () => [parts[2], undefined, parts[3]]);
    const response = await fetch(`${server.served.url}/log.v1.Cluster/Backup`, {
      method: "POST",
      headers: { "content-type": "application/connect+proto", "connect-accept-encoding": "gzip" },
      body: encodeEnvelope(new Uint8Array(0)),
    });
    assert.equal(response.status, 200);
    const messages = [...messagesOf(Buffer.from(await response.arrayBuffer()))];
    assert.deepEqual(
      messages.map(({ flags }) => flags),
      [0, 0],
    );
    for (const { message } of messages)
      assert.equal(Buffer.compare(fromBinary(BackupResponseSchema, message).data, large), 0);
  }
});

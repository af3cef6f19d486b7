/** What uploads hold together, with requests that end when the test says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { S3Connection } from "../../../../src/objects/s3/s3-connection.ts";
import { S3Upload } from "../../../../src/objects/s3/s3-upload.ts";
import { UploadMemory } from "../../../../src/objects/s3/upload-memory.ts";
import { until } from "../../../support/until.ts";

const MiB = 2 ** 20;

/** A server whose uploads of bodies wait. */
class SlowServer {
  readonly waiting: (() => void)[] = [];
  bodies = 0;
  isBroken = false;
  readonly settings = { encryption: {} };

  async send({ body, query }: { readonly body?: unknown; readonly query?: Record<string, string> }) {
    if (query !== undefined && "uploads" in query)
      return { status: 200, headers: {}, body: Buffer.from("<r><UploadId>1</UploadId></r>") };
    if (body !== undefined && (query === undefined || "partNumber" in query)) {
      this.bodies++;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
      if (this.isBroken) throw new Error("refused");
    }
    return { status: 200, headers: { etag: "1" }, body: Buffer.alloc(0) };
  }

  get connection(): S3Connection {
    return this as unknown as S3Connection;
  }
}

async function upload(server: SlowServer, memory: UploadMemory, bytes: number): Promise<void> {
  const writer = new S3Upload(server.connection, memory, "name", bytes);
  try {
    for (let left = bytes; left > 0; left -= MiB) await writer.write(Buffer.alloc(Math.min(MiB, left)));
    await writer.finish();
  } catch (reason) {
    await writer.abandon();
    throw reason;
  }
}

test("uploads hold no more than they may, all of them end, and nothing is held then", async () => {
  for (const bytesMax of [8 * MiB, 16 * MiB, 40 * MiB]) {
    const held: number[] = [];
    const memory = new UploadMemory({ bytesMax, onHeld: (bytes) => void held.push(bytes) });
    const server = new SlowServer();
    const sizes = [20, 3, 9, 8, 1, 30].map((megabytes) => megabytes * MiB);
    let done = 0;
    const all = sizes.map((bytes) => upload(server, memory, bytes).then(() => done++));
    await until("uploads wait", () => server.waiting.length > 0);
    assert.ok(server.waiting.length <= 3);
    await until("all uploads end", () => {
      server.waiting.shift()?.();
      return done === sizes.length;
    });
    await Promise.all(all);
    assert.ok(Math.max(...held) <= bytesMax, `${Math.max(...held)}`);
    assert.ok(Math.max(...held) > bytesMax / 2);
    assert.equal(held.at(-1), 0);
    assert.equal(server.bodies, 3 + 1 + 2 + 1 + 1 + 4);
  }
});

test("a body that is larger than all memory is taken alone", async () => {
  const held: number[] = [];
  const memory = new UploadMemory({ bytesMax: MiB, onHeld: (bytes) => void held.push(bytes) });
  const server = new SlowServer();
  const one = upload(server, memory, 4 * MiB);
  const other = upload(server, memory, MiB);
  await until("the first one waits", () => server.waiting.length > 0);
  assert.equal(server.waiting.length, 1);
  server.waiting.shift()!();
  await one;
  await until("the other one waits", () => server.waiting.length > 0);
  server.waiting.shift()!();
  await other;
  assert.equal(Math.max(...held), 4 * MiB);
  assert.equal(held.at(-1), 0);
});

test("an upload that fails gives its memory back", async () => {
  const held: number[] = [];
  const memory = new UploadMemory({ bytesMax: 16 * MiB, onHeld: (bytes) => void held.push(bytes) });
  const server = new SlowServer();
  server.isBroken = true;
  const done = assert.rejects(upload(server, memory, 40 * MiB), /refused/);
  await until("the upload ends", () => {
    server.waiting.shift()?.();
    return held.length > 2 && held.at(-1) === 0;
  });
  await done;
  assert.equal(held.at(-1), 0);
});

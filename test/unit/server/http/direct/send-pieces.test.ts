import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Writable } from "node:stream";
import { test } from "node:test";
import { sendPieces } from "../../../../../src/server/http/direct/send-pieces.ts";

/** Sends the pieces, and returns the sizes of the writes and what was sent. */
async function send(pieces: readonly Uint8Array[]) {
  const sizes: number[] = [];
  const chunks: Buffer[] = [];
  const socket = new Writable({
    write(chunk: Buffer, _encoding, done) {
      sizes.push(chunk.length);
      chunks.push(chunk);
      done();
    },
  });
  await new Promise<void>((resolve) => sendPieces(socket as Socket, pieces, resolve));
  return { sizes, sent: Buffer.concat(chunks) };
}

test("small pieces are one write, large ones are not copied", async () => {
  const small = ["a", "bc", "d"].map((text) => Buffer.from(text));
  assert.deepEqual(await send(small), { sizes: [4], sent: Buffer.from("abcd") });
  const large = [...small, Buffer.alloc(20_000, 1), Buffer.alloc(3, 2), Buffer.alloc(4, 3)];
  assert.deepEqual(await send(large), { sizes: [4, 20_000, 7], sent: Buffer.concat(large) });
});

test("many small pieces are writes of at most 64 KiB", async () => {
  const many = Array.from({ length: 100 }, (_, n) => Buffer.alloc(1000, n));
  assert.deepEqual(await send(many), { sizes: [65_000, 35_000], sent: Buffer.concat(many) });
});

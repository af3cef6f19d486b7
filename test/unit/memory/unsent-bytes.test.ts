import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBudget } from "../../../src/memory/memory-budget.ts";
import { UnsentBytes } from "../../../src/memory/unsent-bytes.ts";
import { VirtualTime } from "../../support/time/virtual-clock.ts";

const KiB = 1024;

/** A connection whose socket holds as many bytes as the test sets. */
function connection({ secure = false } = {}) {
  const memory = new MemoryBudget({ limit: 1024 * KiB, clock: new VirtualTime().clock() });
  const socket = { pending: 0 };
  const unsent = new UnsentBytes({ memory, pending: () => socket.pending, secure, end: () => {} });
  return { memory, socket, unsent };
}

const piece = (bytes: number): Uint8Array => new Uint8Array(4 * KiB).subarray(0, bytes);

test("pieces that have left are not counted, although the socket always holds the newest one", () => {
  const { memory, socket, unsent } = connection({ secure: true });
  socket.pending = 100;
  for (let write = 0; write < 1000; write++) unsent.wrote([piece(100)]);
  assert.equal(memory.bytesOf("out"), 4 * KiB + 2 * 100);
  unsent.close();
  assert.equal(memory.bytesOf("out"), 0);
});

test("other bytes in the socket count as at most one more piece", () => {
  const { memory, socket, unsent } = connection();
  socket.pending = 100 + 8;
  for (let write = 0; write < 1000; write++) unsent.wrote([piece(100)]);
  assert.equal(memory.bytesOf("out"), 2 * 4 * KiB);
});

test("every piece is counted until it leaves the socket", () => {
  const { memory, socket, unsent } = connection();
  for (let write = 1; write <= 10; write++) {
    socket.pending = write * 100;
    unsent.wrote([piece(100)]);
  }
  assert.equal(memory.bytesOf("out"), 10 * 4 * KiB);
  socket.pending = 450;
  unsent.update();
  assert.equal(memory.bytesOf("out"), 5 * 4 * KiB);
  socket.pending = 0;
  unsent.update();
  assert.equal(memory.bytesOf("out"), 0);
});

test("text counts by its length while it is held", () => {
  const { memory, socket, unsent } = connection();
  socket.pending = 10;
  for (let write = 0; write < 100; write++) unsent.wrote(["0123456789"]);
  assert.equal(memory.bytesOf("out"), 10);
});

test("while memory is short, a client that takes everything it is sent is not disconnected", () => {
  const time = new VirtualTime();
  const memory = new MemoryBudget({ limit: 1024 * KiB, clock: time.clock(), stalledMs: 500 });
  let isEnded = false;
  const socket = { pending: 32 * KiB };
  const unsent = new UnsentBytes({
    memory,
    pending: () => socket.pending,
    secure: false,
    end: () => {
      isEnded = true;
    },
  });
  memory.count("standing", 700 * KiB);
  let writes = 0;
  const write = (): void => {
    unsent.wrote([new Uint8Array(32 * KiB)]);
    if (++writes < 20) time.after(100, write);
  };
  write();
  while (writes < 20) time.step();
  assert.equal(isEnded, false);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { collectGarbage } from "../../../../src/agent/memory/collect-garbage.ts";
import { IdleCollection } from "../../../../src/agent/memory/idle-collection.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const MiB = 2 ** 20;

/** A process in virtual time. A collection leaves 20 MiB. */
class FakeProcess implements Disposable {
  busyMs = 0;
  heldBytes = 30 * MiB;
  usedBytes = 20 * MiB;
  collections = 0;
  readonly #time = new VirtualTime();
  readonly #collection = new IdleCollection({
    clock: this.#time.clock(),
    busyMs: () => this.busyMs,
    heap: () => ({ heldBytes: this.heldBytes, usedBytes: this.usedBytes }),
    collect: () => {
      this.collections++;
      this.heldBytes = 20 * MiB;
    },
  });

  /** Lets 5 seconds pass, of which the event loop is busy for `busyMs`. */
  pass(busyMs: number): void {
    this.busyMs += busyMs;
    assert.ok(this.#time.step(), "it watches on");
  }

  get watches(): boolean {
    return this.#time.step();
  }

  [Symbol.dispose](): void {
    this.#collection[Symbol.dispose]();
  }
}

test("garbage is collected once when a node becomes idle, and again after the memory has grown", () => {
  using node = new FakeProcess();
  node.pass(2_000);
  assert.equal(node.collections, 0, "a busy node is not interrupted");
  node.pass(10);
  assert.equal(node.collections, 1);
  node.heldBytes += 7 * MiB;
  node.pass(10);
  assert.equal(node.collections, 1, "there is little to collect");
  node.heldBytes += MiB;
  node.pass(300);
  assert.equal(node.collections, 1);
  node.pass(10);
  assert.equal(node.collections, 2);
});

test("a large heap is not collected, since that would block the event loop", () => {
  using node = new FakeProcess();
  node.usedBytes = 97 * MiB;
  node.heldBytes = 200 * MiB;
  node.pass(10);
  assert.equal(node.collections, 0);
  node.usedBytes = 96 * MiB;
  node.pass(10);
  assert.equal(node.collections, 1);
});

test("nothing is collected after the end", () => {
  const node = new FakeProcess();
  node[Symbol.dispose]();
  assert.equal(node.watches, false);
  assert.equal(node.collections, 0);
});

test("a collection frees what nothing refers to", () => {
  const kept = new WeakRef({ bytes: Buffer.alloc(64) });
  return new Promise<void>((resolve) =>
    setImmediate(() => {
      collectGarbage();
      assert.equal(kept.deref(), undefined);
      resolve();
    }),
  );
});

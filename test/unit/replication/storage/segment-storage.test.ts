import assert from "node:assert/strict";
import { test } from "node:test";
import { SyncPolicy } from "../../../../src/log/mod.ts";
import { type Entry, emptyConfState } from "../../../../src/raft/mod.ts";
import { SegmentStorage } from "../../../../src/replication/storage/segment-storage.ts";
import { StableState } from "../../../../src/replication/storage/stable-state.ts";
import type { StableStore } from "../../../../src/store/mod.ts";
import { simMachine } from "../../../support/log/logs.ts";

/** A storage whose stable store has no space for rows before the reserve is released. */
function fullStorage(reserved: number) {
  const { store, clock, openStored } = simMachine("full");
  let releases = 0;
  const full: StableStore = {
    get whole() {
      return store.whole;
    },
    get: (key) => store.get(key),
    keys: (prefix) => store.keys(prefix),
    close: () => store.close(),
    write(changes) {
      if (releases === 0) throw Object.assign(new Error("full"), { code: "ENOSPC", syscall: "write" });
      store.write(changes);
    },
  };
  const state = new StableState(full);
  const reserve = { filled: () => undefined, release: () => releases++ < reserved };
  const storage = new SegmentStorage({
    log: openStored(),
    state,
    clock,
    time: { stampMs: () => 0 },
    sync: "always",
    policy: new SyncPolicy(true),
    reserve,
  });
  return { storage, state };
}

test("a committed configuration is stored in the space of the reserve if the disk is full", () => {
  const { storage, state } = fullStorage(1);
  storage.saveConfiguration(0, { ...emptyConfState, voters: [1] });
  assert.deepEqual(state.configurationAt(0).voters, [1]);
  const empty = fullStorage(0);
  assert.throws(() => empty.storage.saveConfiguration(0, emptyConfState), { kind: "disk-full" });
});

test("the entries of the last write are read as they were written, also after a conflict and from before it", async () => {
  const { store, clock, openStored } = simMachine("recent");
  const [log, state] = [openStored(), new StableState(store)];
  const storage = new SegmentStorage({
    ...{ log, state, clock, reserve: undefined, sync: "always", policy: new SyncPolicy(true) },
    time: { stampMs: () => 0 },
  });
  const write = async (first: number, term: number, count: number): Promise<readonly Entry[]> => {
    const draft = (_: unknown, k: number) => ({
      index: first + k,
      term,
      bytes: storage.format.draft(undefined),
      change: undefined,
    });
    const entries = Array.from({ length: count }, draft);
    storage.format.seal(entries, () => undefined);
    await storage.write({ snapshot: undefined, hardState: undefined, entries, sync: true });
    return entries;
  };
  const termsOf = (low: number, high: number) =>
    storage.entries(low, high, 1e6)?.map(({ index, term }) => [index, term]);
  const written = await write(1, 1, 3);
  assert.equal(storage.entries(2, 3, 1e6)?.[0], written[1], "no copy");
  assert.equal(storage.entries(1, 4, 1)?.length, 1, "at most so many bytes, at least one");
  await write(3, 2, 2);
  assert.deepEqual(termsOf(1, 5), [
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 2],
  ]);
  assert.deepEqual(termsOf(3, 4), [[3, 2]]);
  await write(4, 3, 1);
  assert.deepEqual(termsOf(3, 5), [
    [3, 2],
    [4, 3],
  ]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { SyncPolicy } from "../../../../src/log/mod.ts";
import { emptyConfState } from "../../../../src/raft/mod.ts";
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

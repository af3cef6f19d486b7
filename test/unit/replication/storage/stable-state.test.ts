import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { emptyConfState } from "../../../../src/raft/mod.ts";
import { nextBoot } from "../../../../src/replication/identity/boot.ts";
import {
  isCountedOn,
  isDisowned,
  newIdentityChanges,
  newLifeChanges,
  StableState,
} from "../../../../src/replication/mod.ts";
import type { StableStore } from "../../../../src/store/stable-store.ts";
import { SimDisk } from "../../../support/disk/sim-disk.ts";
import { SimStableStore } from "../../../support/disk/sim-stable-store.ts";

const emptyStore = (): StableStore => new SimStableStore(new SimDisk(prng("stable-state")));

function memberStore(voters: readonly number[], votersOutgoing: readonly number[] = []): StableStore {
  const store = emptyStore();
  const state = new StableState(store);
  state.bootstrap({ ...emptyConfState, voters: [...voters], votersOutgoing: [...votersOutgoing] }, "ours");
  state.saveVote(4, 1);
  return store;
}

/** The same store with unreadable values under this prefix. */
const damaged = (store: StableStore, prefix: string): StableStore => ({
  get whole() {
    return store.whole;
  },
  keys: (wanted) => store.keys(wanted),
  write: (changes) => store.write(changes),
  close: () => store.close(),
  get(key) {
    if (key.startsWith(prefix)) throw new Fault("corrupt");
    return store.get(key);
  },
});

test("a node may be counted on as one of three or more voters, as a learner, and if its configuration is unreadable", () => {
  assert.equal(isCountedOn(emptyStore(), 1), false);
  assert.equal(isCountedOn(memberStore([1]), 1), false);
  assert.equal(isCountedOn(memberStore([1]), 2), true, "a learner, whose progress the leader knows");
  assert.equal(isCountedOn(memberStore([1, 2]), 1), false, "nothing is decided without the other voter");
  assert.equal(isCountedOn(memberStore([1, 2, 3]), 1), true);
  assert.equal(isCountedOn(memberStore([1], [1, 2]), 1), true);
  assert.equal(isCountedOn(damaged(memberStore([1]), "raft/configuration"), 1), true);
  const waiting = emptyStore();
  new StableState(waiting).saveClusterId("ours");
  assert.equal(isCountedOn(waiting, 1), true);
});

test("a new identity has no configuration, and keeps the cluster id and a vote", () => {
  const store = memberStore([1, 2, 3]);
  store.write(newIdentityChanges(store));
  const state = new StableState(store);
  assert.deepEqual([state.configured, state.clusterId, state.vote], [false, "ours", { term: 4, vote: 1 }]);

  const damagedVote = memberStore([1, 2, 3]);
  damagedVote.write(newIdentityChanges(damaged(damagedVote, "raft/state")));
  assert.deepEqual(new StableState(damagedVote).vote, { term: 0, vote: 0 });
});

test("a member that keeps its identity after losing acknowledged entries enters a new term without a vote", () => {
  const store = memberStore([1, 2]);
  store.write(newLifeChanges(store));
  const state = new StableState(store);
  assert.deepEqual([state.configured, state.vote], [true, { term: 5, vote: 0 }]);
  assert.equal(state.boot?.life, 1, "peers accept it without the promised entries");
  assert.equal("raft/state" in newLifeChanges(emptyStore()), false);
  assert.equal("raft/state" in newLifeChanges(damaged(store, "raft/state")), false);
});

test("a directory without a boot number opens, and a repair ends the refusal of the other members", () => {
  const store = memberStore([1, 2]);
  const state = new StableState(store);
  assert.deepEqual([state.boot, state.disowned, state.seenBoots().size], [undefined, undefined, 0]);
  state.saveBoot(nextBoot(state.boot, "00000000000000aa"));
  state.saveDisowned({ reason: "copy", message: "why", by: "n2" });
  assert.equal(isDisowned(store), true);
  for (const changes of [newLifeChanges(store), newIdentityChanges(store)]) {
    state.saveDisowned({ reason: "copy", message: "why", by: "n2" });
    store.write(changes);
    assert.equal(isDisowned(store), false);
  }
  assert.equal(state.boot, undefined, "a new identity has no boots");
});

test("a clock that was set is stored with its time, and an invalid stored time is ignored", () => {
  const store = emptyStore();
  const state = new StableState(store);
  state.saveClockSet(-60_000, 1_700_000_000_000.5);
  assert.equal(new StableState(store).clockSetByMs, -60_000);
  assert.equal(new StableState(store).clockWithoutLeapsMs, 1_700_000_000_000.5);
  state.saveClockSet(undefined, undefined);
  assert.deepEqual(store.keys("clock"), []);
  for (const wild of [undefined, "now", -1, 8.64e15 + 2, Number.NaN]) {
    store.write({ "clock-set": 1, "clock-without-leaps": wild });
    assert.equal(state.clockWithoutLeapsMs, undefined);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { prng } from "../../../src/lib/prng.ts";
import { emptyConfState } from "../../../src/raft/mod.ts";
import { nextBoot } from "../../../src/replication/identity/boot.ts";
import {
  isCountedOn,
  isDisowned,
  newIdentityChanges,
  newLifeChanges,
  StableState,
} from "../../../src/replication/mod.ts";
import type { StableStore } from "../../../src/store/stable-store.ts";
import { SimDisk } from "../../support/sim-disk.ts";
import { SimStableStore } from "../../support/sim-stable-store.ts";

const emptyStore = (): StableStore => new SimStableStore(new SimDisk(prng("stable-state")));

function memberStore(voters: readonly number[], votersOutgoing: readonly number[] = []): StableStore {
  const store = emptyStore();
  const state = new StableState(store);
  state.bootstrap({ ...emptyConfState, voters: [...voters], votersOutgoing: [...votersOutgoing] }, "ours");
  state.saveVote(4, 1);
  return store;
}

/** The same, but what lies under keys that begin so cannot be read. */
const spoilt = (store: StableStore, prefix: string): StableStore => ({
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

test("others count on one of three voters and more, on a learner, and on whoever cannot tell", () => {
  assert.equal(isCountedOn(emptyStore(), 1), false);
  assert.equal(isCountedOn(memberStore([1]), 1), false);
  assert.equal(isCountedOn(memberStore([1]), 2), true, "a learner, whose leader knows how far it was");
  assert.equal(isCountedOn(memberStore([1, 2]), 1), false, "nothing is decided without the other");
  assert.equal(isCountedOn(memberStore([1, 2, 3]), 1), true);
  assert.equal(isCountedOn(memberStore([1], [1, 2]), 1), true);
  assert.equal(isCountedOn(spoilt(memberStore([1]), "raft/configuration"), 1), true);
  const waiting = emptyStore();
  new StableState(waiting).saveClusterId("ours");
  assert.equal(isCountedOn(waiting, 1), true);
});

test("a stranger has no place any more, but its cluster's id, and has voted", () => {
  const store = memberStore([1, 2, 3]);
  store.write(newIdentityChanges(store));
  const state = new StableState(store);
  assert.deepEqual([state.configured, state.clusterId, state.vote], [false, "ours", { term: 4, vote: 1 }]);

  const forgetful = memberStore([1, 2, 3]);
  forgetful.write(newIdentityChanges(spoilt(forgetful, "raft/state")));
  assert.deepEqual(new StableState(forgetful).vote, { term: 0, vote: 0 });
});

test("a member that stays itself with less than it acknowledged enters a new term and has voted for nobody in it", () => {
  const store = memberStore([1, 2]);
  store.write(newLifeChanges(store));
  const state = new StableState(store);
  assert.deepEqual([state.configured, state.vote], [true, { term: 5, vote: 0 }]);
  assert.equal(state.boot?.life, 1, "peers accept it without what it had promised");
  assert.equal("raft/state" in newLifeChanges(emptyStore()), false);
  assert.equal("raft/state" in newLifeChanges(spoilt(store, "raft/state")), false);
});

test("a directory without a boot number opens, and a repair ends what the other members have refused", () => {
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
  assert.equal(state.boot, undefined, "another directory begins with its own");
});

test("a clock that was set is noted with its time; without one, or with one that no Date can hold, the time is unknown", () => {
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

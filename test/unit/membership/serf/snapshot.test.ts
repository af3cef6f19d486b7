import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fault } from "../../../../src/fault.ts";
import { systemDisk } from "../../../../src/lib/disk/system-disk.ts";
import type { MemberView } from "../../../../src/membership/serf/serf-event.ts";
import { SerfSnapshot } from "../../../../src/membership/serf/snapshot.ts";
import { parseSnapshot } from "../../../../src/membership/serf/snapshot-lines.ts";
import { scratch } from "../../../support/scratch.ts";

const member = (name: string, port: number): MemberView => ({
  name,
  host: "10.0.0.1",
  port,
  status: "alive",
  tags: {},
});
const fail = (fault: Fault): never => {
  throw fault;
};

test("the last line about each member counts, and a torn last line is skipped", () => {
  const state = parseSnapshot(
    "alive: a 10.0.0.1:1\nalive: b c 10.0.0.2:2\nclock: 5\nnot-alive: a\nalive: a 10.0.0.3:3\n" +
      "event-clock: 7\nnonsense\ncoordinate: {}\nquery-clock: 9\nclock: x\nalive: torn 10.0",
  );
  assert.deepEqual(
    [...state.alive],
    [
      ["b c", { host: "10.0.0.2", port: 2 }],
      ["a", { host: "10.0.0.3", port: 3 }],
    ],
  );
  assert.deepEqual(state.clocks, { member: 5, event: 7, query: 9 });
  assert.equal(state.left, false);
});

test("an implausible clock is ignored", () => {
  const { clocks } = parseSnapshot(
    `clock: 7\nclock: 999999999999999\nevent-clock: ${2 ** 48}\nquery-clock: 9\n`,
  );
  assert.deepEqual(clocks, { member: 7, event: 0, query: 9 });
});

test("after a leave there is no cluster to rejoin, until the next join", () => {
  assert.deepEqual(parseSnapshot("alive: a 10.0.0.1:1\nleave\n"), {
    alive: new Map(),
    clocks: { member: 0, event: 0, query: 0 },
    left: true,
  });
  assert.equal(parseSnapshot("leave\nalive: a 10.0.0.1:1\n").left, false);
});

test("the recorded state is there after a restart, and the file stays small", (t) => {
  const path = `${scratch(t)}/snapshot`;
  const snapshot = new SerfSnapshot(systemDisk, path, fail);
  for (let turn = 0; turn < 10_000; turn++) {
    snapshot.record({ kind: "joined", member: member("flapping", 7) }, "self");
    snapshot.record({ kind: "failed", member: member("flapping", 7) }, "self");
  }
  snapshot.record({ kind: "joined", member: member("self", 1) }, "self");
  snapshot.record({ kind: "joined", member: member("other", 2) }, "self");
  snapshot.recordClocks({ member: 3, event: 4, query: 5 });
  snapshot.close();
  const file = systemDisk.open(path, "read");
  assert.ok(file.size() < 200_000, `${file.size()} bytes`);
  file.close();
  const again = new SerfSnapshot(systemDisk, path, fail);
  assert.deepEqual([...again.previous.alive.keys()], ["other"]);
  assert.deepEqual(again.previous.clocks, { member: 3, event: 4, query: 5 });
  again.recordLeave();
  again.close();
  const last = new SerfSnapshot(systemDisk, path, fail);
  last.close();
  assert.equal(
    new SerfSnapshot(systemDisk, path, fail).previous.left,
    true,
    "a leave survives two reopenings",
  );
});

test("a disk error is reported and stops nothing", () => {
  const faults: Fault[] = [];
  const snapshot = new SerfSnapshot(systemDisk, "/nonexistent/directory/snapshot", (fault) =>
    faults.push(fault),
  );
  snapshot.record({ kind: "joined", member: member("a", 1) }, "self");
  snapshot.close();
  assert.equal(faults[0]?.kind, "disk-failed");
  assert.equal(faults[0]?.facts["code"], "ENOENT");
});

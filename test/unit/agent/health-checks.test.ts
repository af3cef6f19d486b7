import assert from "node:assert/strict";
import { test } from "node:test";
import { spaceNote } from "../../../src/agent/health-checks.ts";
import type { SpaceUse } from "../../../src/lib/disk/space-use.ts";

const MiB = 2 ** 20;
const space = (removed: number, more: Partial<SpaceUse> = {}): SpaceUse => ({
  ...{ bytes: 1000 * MiB, removedBytes: removed * MiB, deletedBytes: 0, reclaimableBytes: removed * MiB },
  ...{ removed: [{ name: "busy", bytes: 90 * MiB }], keeping: [{ name: "audit", bytes: 190 * MiB }] },
  ...{ ageMs: 1, ...more },
});

test("much removed space is a note that names logs and says what to do", () => {
  assert.equal(
    spaceNote(space(200), false, false),
    'removed records hold 200.0 MiB of 1000.0 MiB, most of "busy" 90.0 MiB, kept by "audit" 190.0 MiB; ' +
      "settling would give about 200.0 MiB back: set --settle-bytes-per-second, or trim the logs that keep the files",
  );
  assert.match(spaceNote(space(200), true, false)!, /; settling gives about 200\.0 MiB back$/);
  assert.match(
    spaceNote(space(200, { reclaimableBytes: 0 }), true, false)!,
    /; settling gives nothing back: trim or delete logs$/,
  );
});

test("little of it is a note only while the disk is full", () => {
  assert.equal(spaceNote(undefined, false, true), undefined);
  assert.equal(spaceNote(space(99), false, false), undefined);
  assert.equal(spaceNote(space(50, { bytes: 100 * MiB }), false, false), undefined);
  assert.match(
    spaceNote(space(0, { removed: [], keeping: [] }), false, true)!,
    /^removed records hold 0\.0 MiB of 1000\.0 MiB; settling gives nothing back/,
  );
});

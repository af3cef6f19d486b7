import assert from "node:assert/strict";
import { test } from "node:test";
import { GroupBuilder } from "../../../../src/log/append/group-builder.ts";
import {
  batchKind,
  chainStart,
  defaultSettings,
  emptyCheckpoint,
  encodeSettings,
  encodeTrim,
  LogState,
} from "../../../../src/log/mod.ts";
import { run } from "../../../support/log/logs.ts";
import { sealGroup } from "../../../support/log/seal-group.ts";

test("a checkpoint of an uncommitted index is the state after its commit", () => {
  const builder = new GroupBuilder(100);
  builder.addCommand(batchKind.settings, encodeSettings({ ...defaultSettings, retentionBytes: 5 }));
  builder.add(run("a", "b"), { subject: "s", id: 1n, epoch: 0, sequence: 0 }, false);
  builder.addCommand(batchKind.trim, encodeTrim(1));
  builder.addCommand(batchKind.configuration, Uint8Array.of(1, 2));
  builder.addCommand(batchKind.trim, encodeTrim(900));
  const { group } = sealGroup(builder, { ...chainStart, nextOffset: 0 }, 1, 5);
  const state = LogState.from(emptyCheckpoint);
  for (const at of group.positions.slice(0, -1)) state.stage(group.bytes, at);
  assert.equal(state.lowest, 0);
  assert.equal(state.settings.retentionBytes, 5);
  assert.equal(state.settingsAt(1).retentionBytes, 0);
  const expected = [0, 1, 2, 3, 4, 5].map((index) => state.checkpointAt(index));
  assert.deepEqual(
    expected.map(({ lowest }) => lowest),
    [0, 0, 0, 1, 1, 2],
  );
  for (const [index, checkpoint] of expected.entries()) {
    state.commitTo(index);
    assert.deepEqual(state.checkpointAt(index), checkpoint);
    assert.deepEqual(LogState.from(checkpoint).checkpointAt(index), checkpoint);
  }
  assert.deepEqual(state.configuration, { index: 4, command: Uint8Array.of(1, 2) });
  assert.throws(() => state.truncate(5));
});

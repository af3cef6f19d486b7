import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type FaultKind } from "../../../../src/fault.ts";
import {
  checkSettings,
  decodeSettings,
  decodeTrim,
  defaultSettings,
  encodeSettings,
  encodeTrim,
} from "../../../../src/log/frame/command.ts";

const isFault =
  (kind: FaultKind) =>
  (reason: unknown): boolean =>
    reason instanceof Fault && reason.kind === kind;

test("trims and settings are decoded as they were encoded", () => {
  for (const before of [0, 1, 127, 128, 2 ** 40]) assert.equal(decodeTrim(encodeTrim(before)), before);
  assert.throws(() => decodeTrim(Uint8Array.of(8)), isFault("corrupt"));
  const settings = { ...defaultSettings, retentionBytes: 7 };
  assert.deepEqual(decodeSettings(encodeSettings(settings)), settings);
  assert.deepEqual(decodeSettings(Buffer.from('{"retentionBytes":7,"later":1}')), settings);
});

test("a setting out of range is refused with its name", () => {
  checkSettings(defaultSettings);
  for (const wrong of [
    { segmentStoreBytesMax: 0 },
    { segmentAgeMaxMs: 49 * 86_400_000 },
    { retentionBytes: 0.5 },
  ]) {
    assert.throws(
      () => checkSettings({ ...defaultSettings, ...wrong }),
      (reason) => {
        assert.ok(reason instanceof Fault && reason.kind === "config");
        assert.equal(reason.facts["setting"], Object.keys(wrong)[0]);
        return true;
      },
    );
  }
});

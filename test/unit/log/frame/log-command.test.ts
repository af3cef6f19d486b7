import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import {
  checkedSettings,
  decodeConfigure,
  decodeCreate,
  decodeLevel,
  decodeLogTrim,
  encodeLogCommand,
  logNameBytesMax,
} from "../../../../src/log/frame/log-command.ts";

const isCorrupt = (reason: unknown): boolean => reason instanceof Fault && reason.kind === "corrupt";
const settings = { retentionBytes: 5, ttlMs: 0, contentType: "text/plain" };

test("commands are decoded as they were encoded, and unknown keys are ignored", () => {
  const create = { name: "\u{1f600}/ü", settings };
  assert.deepEqual(decodeCreate(encodeLogCommand(create)), create);
  assert.deepEqual(decodeConfigure(encodeLogCommand({ settings })), settings);
  const trim = { from: 3, to: Number.MAX_SAFE_INTEGER, bytes: 0 };
  assert.deepEqual(decodeLogTrim(encodeLogCommand(trim)), trim);
  assert.deepEqual(decodeLevel(encodeLogCommand({ level: 1, life: 7 })), { level: 1, life: 7 });
  const later = Buffer.from('{"name":"a","settings":{"maxBytes":1,"later":2},"more":3}');
  assert.deepEqual(decodeCreate(later), { name: "a", settings: { maxBytes: 1 } });
});

test("a malformed command is corrupt", () => {
  const long = "ü".repeat(logNameBytesMax / 2 + 1);
  const creates = [
    "{",
    "[]",
    "null",
    '{"name":"","settings":{}}',
    '{"name":"a"}',
    '{"name":"a","settings":[]}',
  ];
  creates.push(JSON.stringify({ name: long, settings: {} }));
  for (const text of creates) assert.throws(() => decodeCreate(Buffer.from(text)), isCorrupt, text);
  for (const wrong of [-1, 1.5, "1", null, 2 ** 53]) {
    assert.throws(() => checkedSettings({ maxBytes: wrong }), isCorrupt, String(wrong));
    assert.throws(() => decodeLevel(Buffer.from(JSON.stringify({ level: wrong, life: 1 }))), isCorrupt);
  }
  assert.throws(() => checkedSettings({ contentType: "x".repeat(256) }), isCorrupt);
  for (const trim of [
    { from: 1, to: 1, bytes: 0 },
    { from: 2, to: 1, bytes: 0 },
    { from: 0, to: 1 },
  ])
    assert.throws(() => decodeLogTrim(Buffer.from(JSON.stringify(trim))), isCorrupt);
});

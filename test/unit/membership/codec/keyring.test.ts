import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { Keyring } from "../../../../src/membership/codec/keyring.ts";

const key = (bytes: number): string => Buffer.alloc(bytes, bytes).toString("base64");
const ring = (...keys: string[]): Keyring => new Keyring(keys, randomBytes);

test("a key of another length or not in base64 is refused with Fault config", () => {
  for (const bad of [key(15), key(33), "not a key!", ""]) {
    assert.throws(() => ring(bad), { kind: "config" }, bad);
  }
});

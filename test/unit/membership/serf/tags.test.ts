import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeTags, encodeTags } from "../../../../src/membership/serf/tags.ts";

test("tags are encoded as Serf does, and Meta without the magic byte is the role", () => {
  assert.equal(encodeTags({}).toString("hex"), "ff80");
  const tags = { role: "web", zone: "ä" };
  assert.deepEqual(decodeTags(encodeTags(tags)), tags);
  assert.deepEqual(decodeTags(Buffer.from("database")), { role: "database" });
  assert.deepEqual(decodeTags(Buffer.from("ff81a9__proto__a1780", "latin1")), {
    role: "ff81a9__proto__a1780",
  });
});

test("tags of more than 512 bytes are refused with both sizes", () => {
  assert.throws(() => encodeTags({ big: "x".repeat(600) }), {
    kind: "too-large",
    facts: { foundBytes: 609, bytesMax: 512 },
  });
});

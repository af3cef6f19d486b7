import assert from "node:assert/strict";
import { test } from "node:test";
import { GroupBufferPool } from "../../../../src/log/append/group-buffer-pool.ts";
import { GroupBuilder } from "../../../../src/log/append/group-builder.ts";
import { chainStart, checkFrame } from "../../../../src/log/mod.ts";
import { run } from "../../../support/log/logs.ts";
import { sealGroup } from "../../../support/log/seal-group.ts";

test("groups share blocks of memory, and no byte belongs to two groups", () => {
  const pool = new GroupBufferPool();
  const kept = [];
  for (let n = 0; n < 60; n++) {
    const builder = new GroupBuilder(100, pool);
    // Some groups outgrow the buffer they reserved, and some the block it is in.
    for (let more = 0; more <= n % 7; more++)
      builder.add(run(`${n}`.repeat(n * 97)), undefined, more % 2 === 0);
    const sealed = sealGroup(builder, chainStart, 1, 5).group;
    kept.push({ sealed, copy: Buffer.from(sealed.bytes) });
  }
  for (const { sealed, copy } of kept) {
    assert.equal(Buffer.compare(sealed.bytes, copy), 0);
    assert.equal(checkFrame(sealed.bytes, 0, sealed.bytes.length), undefined);
  }
  assert.ok(new Set(kept.map(({ sealed }) => sealed.bytes.buffer)).size < 10);
});

/** A node that is killed while cursors are committed: what was acknowledged is there after its next start. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { startNode } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

const cursors = 4;

interface Committed {
  readonly offset: number;
  readonly version: number;
}

test("acknowledged commits survive kill -9, and what was under way is there or not", async (t) => {
  const directory = join(scratch(t), "data");
  for (let round = 0; round < 2; round++) {
    const node = await startNode(t, ["--data-dir", directory]);
    const acknowledged = new Map<string, Committed>();
    const sent = new Map<string, number>();
    const append = await fetch(node.url, { method: "POST", body: '{"record":{"value":"YQ=="}}' });
    const { offset: last } = (await append.json()) as { readonly offset: number };
    let isKilled = false;
    let total = 0;
    const commits = Array.from({ length: cursors }, async (_, n) => {
      const path = `/cursors/c${n}`;
      for (let count = 0; !isKilled; count++) {
        const offset = count % (last + 2);
        sent.set(path, offset);
        const body = JSON.stringify({ offset, metadata: `${round}/${count}` });
        const answer = await fetch(`${node.url}${path}`, { method: "PUT", body });
        const found = (await answer.json()) as Committed;
        assert.ok(answer.ok, JSON.stringify(found));
        acknowledged.set(path, found);
        total++;
      }
    });
    const ended = Promise.allSettled(commits);
    await until("each was committed", () => acknowledged.size === cursors && total >= 40);
    isKilled = true;
    await node.kill("SIGKILL");
    await ended;
    const again = await startNode(t, ["--data-dir", directory]);
    for (const [path, { offset, version }] of acknowledged) {
      const found = (await (await fetch(`${again.url}${path}`)).json()) as Committed;
      assert.ok(found.version >= version, `${path}: ${found.version} after ${version}`);
      const isLater = found.version > version;
      assert.equal(found.offset, isLater ? sent.get(path) : offset);
    }
    await again.kill("SIGKILL");
  }
});

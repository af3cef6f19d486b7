/** Named logs over HTTP at a node that does not lead: it forwards changes and appends, and shows what it acknowledged. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, curl } from "../../support/http/curl.ts";
import { serve } from "../../support/http/serve.ts";
import { openTail } from "../../support/http/tail-reader.ts";
import { SocketCluster } from "../../support/peer/socket-cluster.ts";

test("a follower creates, writes, reads, changes and deletes a log, and another node sees it at once", async () => {
  await using cluster = await SocketCluster.open(3, {});
  const followers = cluster.followers(await cluster.leader());
  const [one, other] = followers.map(({ up }) => up!.replica.log);
  await using here = await serve({ log: one!, named: one!.named });
  await using there = await serve({ log: other!, named: other!.named });
  const ask = (
    { url }: { readonly url: string },
    method: string,
    path: string,
    body?: string,
    headers: Record<string, string> = {},
  ): Promise<Answer> => curl(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });

  for (let round = 0; round < 5; round++) {
    const made = await ask(here, "PUT", "/logs/a/b", '{"max_bytes":1000}');
    assert.equal(made.status, 201, made.text);
    const etag = String(made.headers["etag"]);
    // The other node may not have the log yet. It asks, and does not refuse.
    assert.equal((await ask(there, "PUT", "/logs/a/b", '{"max_bytes":1000}')).status, 200);
    assert.equal((await ask(there, "PUT", "/logs/a/b", '{"max_bytes":1001}')).status, 409);
    const posted = await ask(there, "POST", "/logs/a/b", `round ${round}`);
    assert.equal(posted.text, '{"offset":0}\n');
    assert.equal(posted.headers["tailrace-log-id"], made.json["log_id"]);
    for (const node of [there, here]) {
      const read = await ask(node, "GET", "/logs/a/b?offset=0", undefined, {
        accept: "application/octet-stream",
      });
      assert.deepEqual([read.status, read.text], [200, `round ${round}`]);
    }
    const stale = await ask(here, "PATCH", "/logs/a/b", '{"max_bytes":2}', { "if-match": etag });
    assert.deepEqual(
      [stale.status, stale.json["reason"], stale.json["written"]],
      [412, "VERSION_MISMATCH", "no"],
    );
    const tail = await openTail(`${there.url}/logs/a/b?from=0&follow`);
    assert.match((await tail.next())?.data ?? "", /"offset":0/);
    assert.equal((await ask(here, "DELETE", `/logs/a/b?log_id=${made.json["log_id"]}`)).status, 204);
    assert.equal((await ask(here, "GET", "/logs/a/b")).status, 404);
    assert.match((await tail.all()).at(-1)?.data ?? "", /"code":"not_found"/);
    const late = await ask(there, "POST", `/logs/a/b?log_id=${made.json["log_id"]}`, "x");
    assert.deepEqual([late.status, late.json["written"]], [404, "no"]);
  }
  const redirected = await ask(here, "PUT", "/logs/a%2Fb", "{}", { "tailrace-forward": "no" });
  assert.equal(redirected.status, 307);
  assert.match(String(redirected.headers["location"]), /^http:\/\/[^/]+\/logs\/a%2Fb$/);
});

/** The book's test of its distributed log, with the same name, and nodes as processes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startCluster } from "../chaos/started-cluster.ts";
import { curl } from "../support/http/curl.ts";
import { processWait } from "../support/process/cluster.ts";
import { tailrace } from "../support/process/process.ts";
import { until } from "../support/until.ts";

test("TestMultipleNodes: records appended to one node are on all nodes, and a removed node gets no more records", async (t) => {
  const { fleet, operator } = await startCluster(t, 3);
  const leader = await operator.leader();
  const [one, other] = fleet.nodes.filter((node) => node !== leader);
  const post = async (value: string): Promise<number> => {
    const body = JSON.stringify({ record: { value: Buffer.from(value).toString("base64") } });
    const answer = await curl(`http://${leader!.addr}/`, { method: "POST", body });
    return answer.json["offset"] as number;
  };
  const valueOn = async (addr: string, offset: number): Promise<string | number> => {
    const { status, json } = await curl(`http://${addr}/?offset=${offset}`);
    const record = json["record"] as { value: string } | undefined;
    return record === undefined ? status : Buffer.from(record.value, "base64").toString();
  };
  for (const value of ["first", "second"]) {
    const offset = await post(value);
    for (const { addr } of fleet.nodes) assert.equal(await valueOn(addr, offset), value);
  }
  const servers = await operator.servers();
  assert.deepEqual(servers.map(({ id }) => id).sort(), ["n1", "n2", "n3"]);
  assert.deepEqual(
    servers.filter(({ isLeader }) => isLeader).map(({ id }) => id),
    [leader!.name],
  );

  const unforwarded = await curl(`http://${other!.addr}/`, {
    method: "POST",
    headers: { "tailrace-forward": "no" },
    body: '{"record":{}}',
  });
  const { location } = unforwarded.headers;
  assert.deepEqual([unforwarded.status, location], [307, `http://${leader!.addr}/`]);

  const removed = await tailrace(["remove", one!.name, "--addr", leader!.addr]);
  assert.equal(removed.status, 0, removed.err);
  await until("two servers are left", async () => (await operator.servers()).length === 2, processWait);
  const offset = await post("third");
  assert.equal(await valueOn(other!.addr, offset), "third");
  assert.notEqual(await valueOn(one!.addr, offset), "third");
});

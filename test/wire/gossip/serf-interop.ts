/**
 * Everything that a Serf agent and a member of ours do with each other. The ordinary suite runs it for some combinations
 * of encryption and compression, and the long suite for all.
 */
import assert from "node:assert/strict";
import { until } from "../../support/until.ts";
import { startAgent, startMember, statusOf } from "./serf-agent.ts";

export interface InteropCase {
  readonly direction: "they join us" | "we join them";
  readonly key: string | undefined;
  readonly compression: boolean;
}

export function title({ compression, direction, key }: InteropCase): string {
  return `${direction}, ${key === undefined ? "plain" : "encrypted"}, ${compression ? "compressed" : "not compressed"}`;
}

export async function interop(
  t: { after(work: () => void | Promise<void>): void },
  directory: string,
  { compression, direction, key }: InteropCase,
): Promise<void> {
  const keys = key === undefined ? {} : { keys: [key] };
  const ours = await startMember(t, { name: "ours", tags: { rpc_addr: "127.0.0.1:8400" }, ...keys });
  const agent = await startAgent(t, {
    name: "theirs",
    directory,
    compression,
    tags: { role: "web" },
    ...(key === undefined ? {} : { key }),
    ...(direction === "they join us" ? { join: [ours.addr] } : {}),
  });
  if (direction === "we join them") assert.equal(await ours.member.join([agent.addr]), 1);

  await until("theirs is alive for ours", () => statusOf(ours.member, "theirs") === "alive");
  await until("ours is alive for agent", async () => (await agent.member("ours"))?.status === "alive");
  const theirs = ours.member.members().find(({ name }) => name === "theirs");
  assert.deepEqual({ ...theirs?.tags }, { role: "web" });
  assert.deepEqual((await agent.member("ours"))?.tags, { rpc_addr: "127.0.0.1:8400" });

  // Tags.
  await ours.member.setTags({ rpc_addr: "127.0.0.1:8400", zone: "b" });
  await until(
    "the agent sees the changed tag",
    async () => (await agent.member("ours"))?.tags["zone"] === "b",
  );
  await agent.run("tags", "-set", "color=red");
  const red = (): boolean =>
    ours.events.some((event) => event.kind === "updated" && event.member.tags["color"] === "red");
  await until("the changed tag arrives", red);

  // Events.
  ours.member.userEvent("deploy", Buffer.from("ours-1"));
  await until("agent gets user deploy ours-1", () => agent.receivedEvents().includes("user deploy ours-1"), {
    explain: () => agent.receivedEvents().join(),
  });
  await agent.run("event", "-coalesce=false", "release", "theirs-2");
  const release = (): boolean =>
    ours.events.some(
      (event) =>
        event.kind === "user-event" && event.name === "release" && event.payload.toString() === "theirs-2",
    );
  await until("the event release arrives", release);

  // Queries.
  const answers = new Map<string, string>();
  const acks = new Set<string>();
  for await (const answer of ours.member.query("status", Buffer.from("how"), {
    ack: true,
    timeoutMs: 5_000,
  })) {
    if (answer.ack) acks.add(answer.from);
    else answers.set(answer.from, answer.payload.toString());
    if (answers.size === 2 && acks.size === 2) break;
  }
  assert.deepEqual([...acks].sort(), ["ours", "theirs"]);
  assert.deepEqual([...answers].sort(), [
    ["ours", "answer of ours"],
    ["theirs", "answer of theirs"],
  ]);
  const printed = await agent.run("query", "-timeout=2s", "uptime", "now");
  assert.match(printed, /Response from 'ours': answer of ours/);
  assert.match(printed, /Ack from 'ours'/);
  assert.doesNotMatch(await agent.run("query", "-timeout=1s", "-tag", "zone=[ac]", "uptime"), /from 'ours'/);
  assert.match(await agent.run("query", "-timeout=1s", "-tag", "zone=^b$", "uptime"), /Response from 'ours'/);

  // The member that joined leaves.
  if (direction === "they join us") {
    await agent.run("leave");
    await until("theirs is left for ours", () => statusOf(ours.member, "theirs") === "left", {
      explain: () => JSON.stringify(ours.member.members()),
    });
    assert.ok(ours.events.every(({ kind }) => kind !== "failed"));
  } else {
    await ours.member.leave();
    await until("ours is left for agent", async () => (await agent.member("ours"))?.status === "left");
    assert.ok(!agent.receivedEvents().some((line) => line.startsWith("member-failed")));
  }
  assert.ok(
    ours.events.every((event) => event.kind !== "problem"),
    JSON.stringify(ours.events.filter(({ kind }) => kind === "problem")),
  );
}

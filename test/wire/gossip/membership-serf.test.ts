/**
 * Membership and the real `serf` agent on loopback.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { promisify } from "node:util";
import { type Alive, encodeAlive, protocolVersions } from "../../../src/membership/codec/messages.ts";
import { generateKey } from "../../../src/membership/mod.ts";
import { encodeTags } from "../../../src/membership/serf/tags.ts";
import { freePort } from "../../support/process/free-port.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import { localTiming } from "../../support/time/local-timing.ts";
import { until } from "../../support/until.ts";
import { startAgent, startMember, statusOf } from "./serf-agent.ts";
import { interop, title } from "./serf-interop.ts";

const serf = requireProgram("serf");

for (const item of [
  { direction: "they join us", key: undefined, compression: true },
  { direction: "we join them", key: generateKey(), compression: true },
] as const) {
  test(`a serf agent and a member interoperate: ${title(item)}`, serf, async (t) => {
    await interop(t, scratch(t), item);
  });
}

test("another key, or none, is refused on both sides", serf, async (t) => {
  const directory = scratch(t);
  const ours = await startMember(t, { name: "ours", keys: [generateKey()] });
  const other = await startAgent(t, { name: "other", directory, key: generateKey() });
  const plain = await startAgent(t, { name: "plain", directory });
  for (const agent of [other, plain]) {
    await assert.rejects(agent.run("join", ours.addr));
    await assert.rejects(ours.member.join([agent.addr]), { name: "Fault" });
    assert.equal(await agent.member("ours"), undefined);
  }
  assert.deepEqual(
    ours.member.members().map(({ name }) => name),
    ["ours"],
  );
  const refusals = ours.events.filter(
    (event) => event.kind === "problem" && event.fault.kind === "permission-denied",
  );
  assert.ok(refusals.length >= 2, "the refusal was not reported");
});

test("a key of `serf keygen` works for both", serf, async (t) => {
  const { stdout } = await promisify(execFile)("serf", ["keygen"]);
  const key = stdout.trim();
  assert.equal(Buffer.from(key, "base64").length, 32);
  assert.equal(generateKey().length, key.length);
  const secret = await startAgent(t, { name: "secret", directory: scratch(t), key });
  const ours = await startMember(t, { name: "ours", keys: [generateKey(), key] });
  // The ring decrypts what the agent encrypts. The agent cannot decrypt with the ring's first key.
  await assert.rejects(ours.member.join([secret.addr]), { name: "Fault" });
  const fitting = await startMember(t, { name: "fitting", keys: [key] });
  assert.equal(await fitting.member.join([secret.addr]), 1);
  await until(
    "fitting is alive for secret",
    async () => (await secret.member("fitting"))?.status === "alive",
  );
});

test("a force-leave of a live member is refuted, and of a dead one accepted", serf, async (t) => {
  const directory = scratch(t);
  const ours = await startMember(t, { name: "ours" });
  const agent = await startAgent(t, { name: "theirs", directory, join: [ours.addr] });
  const dead = await startAgent(t, { name: "dead", directory, join: [ours.addr] });
  await until("agent has 3 members", async () => (await agent.members()).length === 3);
  await agent.run("force-leave", "ours");
  // The agent shows the member as leaving before the command returns, and until the member refutes that.
  await until("ours is alive for agent", async () => (await agent.member("ours"))?.status === "alive");
  assert.equal(statusOf(ours.member, "ours"), "alive");
  await dead.kill("SIGKILL");
  await until("dead is failed for ours", () => statusOf(ours.member, "dead") === "failed");
  await agent.run("force-leave", "dead");
  await until("dead is left for ours", () => statusOf(ours.member, "dead") === "left");
});

test("an agent that leaves is left, also if its state arrives before its leave", serf, async (t) => {
  const timing = { ...localTiming, pushPullIntervalMs: 40 };
  const ours = await startMember(t, { name: "ours", timing });
  const agent = await startAgent(t, { name: "theirs", directory: scratch(t), join: [ours.addr] });
  await until("theirs is alive for ours", () => statusOf(ours.member, "theirs") === "alive");
  await agent.run("leave");
  await until("theirs is left for ours", () => statusOf(ours.member, "theirs") === "left", {
    explain: () => JSON.stringify(ours.member.members()),
  });
});

test("an agent joins on sockets that the shared port hands over", serf, async (t) => {
  const port = await freePort();
  const ours = await startMember(t, { name: "ours", port, listen: false });
  const mux = createServer((socket) => {
    socket.once("data", (head) => {
      socket.pause();
      socket.unshift(head);
      ours.member.accept(socket);
    });
  }).listen(port, "127.0.0.1");
  await once(mux, "listening");
  t.after(() => mux.close());
  const agent = await startAgent(t, { name: "theirs", directory: scratch(t), join: [ours.addr] });
  assert.equal((await agent.member("ours"))?.status, "alive");
  await until("theirs is alive for ours", () => statusOf(ours.member, "theirs") === "alive");
});

test("forged claims about invented members do not keep agents from joining", serf, async (t) => {
  const ours = await startMember(t, { name: "ours" });
  const udp = createSocket("udp4");
  t.after(() => udp.close());
  const at = { host: "127.0.0.1", port: 9 };
  const claims: Partial<Alive>[] = [
    ...[
      "",
      "000000000000",
      "010500020505",
      "010503020505",
      "010502020506",
      "030503020505",
      "010502050505",
    ].map((hex) => ({ versions: Buffer.from(hex, "hex") })),
    ...["ff", "ffdfffffffff", "ff81a161c0", "ffc0", "00"].map((hex) => ({ meta: Buffer.from(hex, "hex") })),
    ...["0.0.0.0", "255.255.255.255", "ff02::1", "fe80::1"].map((host) => ({ at: { host, port: 9 } })),
    ...["constructor", "__proto__", " ", "\u202eevil", "x".repeat(255)].map((node) => ({ node })),
  ];
  const before = ours.member.members().length;
  claims.forEach((claim, count) => {
    const honest = {
      incarnation: 1,
      node: `invented-${count}`,
      at,
      meta: encodeTags({}),
      versions: protocolVersions,
    };
    udp.send(encodeAlive({ ...honest, ...claim }), ours.member.at.port, "127.0.0.1");
  });
  await until("the invented members are known", () => ours.member.members().length > before + 8);
  const agent = await startAgent(t, { name: "theirs", directory: scratch(t), join: [ours.addr] });
  await until("theirs is alive for ours", () => statusOf(ours.member, "theirs") === "alive", {
    explain: () => agent.output,
  });
  const second = await startAgent(t, { name: "second", directory: scratch(t) });
  assert.equal(await ours.member.join([second.addr]), 1);
  await until("ours is alive for second", async () => (await second.member("ours"))?.status === "alive", {
    explain: () => second.output,
  });
  await until("second is alive for agent", async () => (await agent.member("second"))?.status === "alive");
});

/**
 * Membership on real sockets, without Serf.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { encodePushPull } from "../../../src/membership/codec/push-pull.ts";
import { endpointText, generateKey, openMembership } from "../../../src/membership/mod.ts";
import { freePort } from "../../support/process/free-port.ts";
import { scratch } from "../../support/scratch.ts";
import { localTiming } from "../../support/time/local-timing.ts";
import { until } from "../../support/until.ts";
import { startMember, statusOf } from "./serf-agent.ts";

test("TestMembership: three members join, one leaves, and the first sees the events", async (t) => {
  const members: Awaited<ReturnType<typeof startMember>>[] = [];
  for (const name of ["0", "1", "2"]) {
    const next = await startMember(t, { name, tags: { rpc_addr: `127.0.0.1:840${name}` } });
    if (name !== "0") assert.equal(await next.member.join([members[0]?.addr ?? ""]), 1);
    members.push(next);
  }
  const [zero, , two] = members;
  assert.ok(zero && two);
  const joins = (): number => zero.events.filter(({ kind }) => kind === "joined").length;
  const leaves = (): number => zero.events.filter(({ kind }) => kind === "left").length;
  await until(
    "the first member knows two joins",
    () => joins() === 2 && zero.member.members().length === 3 && leaves() === 0,
  );
  await two.member.leave();
  await until("2 is left for zero", () => statusOf(zero.member, "2") === "left" && leaves() === 1);
  assert.deepEqual(
    zero.member.members().map(({ name, status, tags }) => [name, status, tags["rpc_addr"]]),
    [
      ["0", "alive", "127.0.0.1:8400"],
      ["1", "alive", "127.0.0.1:8401"],
      ["2", "left", "127.0.0.1:8402"],
    ],
  );
  assert.equal(joins(), 2);
});

test("a member without a listener serves the sockets that the shared port hands over", async (t) => {
  const port = await freePort();
  const { member, addr, events } = await startMember(t, { name: "behind", port, listen: false });
  const handed: number[] = [];
  const mux = createServer((socket) => {
    socket.once("data", (head) => {
      handed.push(head[0] as number);
      socket.pause();
      socket.unshift(head);
      setTimeout(() => member.accept(socket), 5);
    });
  }).listen(port, "127.0.0.1");
  await once(mux, "listening");
  t.after(() => mux.close());
  const other = await startMember(t, { name: "other" });
  assert.equal(await other.member.join([addr]), 1);
  await until("other is alive for the member", () => statusOf(member, "other") === "alive");
  assert.ok(handed.length >= 1 && handed.every((byte) => byte <= 13), handed.join());
  assert.deepEqual(
    events.filter(({ kind }) => kind === "problem"),
    [],
  );
});

test("membership works with a key and a label, over IPv6", async (t) => {
  const secret = { keys: [generateKey()], label: "blue" };
  const one = await startMember(t, { name: "one", ...secret, host: "::1" });
  const two = await startMember(t, { name: "two", ...secret, host: "::1" });
  assert.match(one.addr, /^\[::1\]:\d+$/);
  await two.member.join([one.addr]);
  await until("two is alive for one", () => statusOf(one.member, "two") === "alive");
  one.member.userEvent("hello", Buffer.from("x"));
  await until("two gets the event user-event", () => two.events.some(({ kind }) => kind === "user-event"));
  await until("two gets ten packets", () => two.member.stats.packetsIn > 10);
  assert.equal(one.member.stats.malformed + two.member.stats.malformed, 0);
  const outsider = await startMember(t, { name: "outsider", keys: secret.keys, label: "green", host: "::1" });
  await assert.rejects(outsider.member.join([one.addr]), { name: "Fault" });
});

test("join returns the number of reached members, and throws the reason if there is none", async (t) => {
  const one = await startMember(t, { name: "one" });
  const two = await startMember(t, { name: "two" });
  const unreachable = `127.0.0.1:${await freePort()}`;
  assert.equal(await two.member.join([two.addr]), 0, "our own address is not a seed");
  await assert.rejects(two.member.join([unreachable]), { kind: "unavailable" });
  await assert.rejects(two.member.join(["no port:x"]), { kind: "bad-request" });
  await assert.rejects(two.member.join(["no-such-host.invalid:1"]), { kind: "unavailable" });
  assert.equal(await two.member.join([unreachable, one.addr, two.addr]), 1);
});

test("a name in use at another address fails the join, and is reported in the cluster", async (t) => {
  const one = await startMember(t, { name: "one" });
  const twin = await startMember(t, { name: "twin" });
  await twin.member.join([one.addr]);
  const second = await startMember(t, { name: "twin" });
  await assert.rejects(second.member.join([one.addr]), { kind: "failed-precondition" });
  await until("one gets the event conflict", () => one.events.some(({ kind }) => kind === "conflict"));
  assert.equal(statusOf(one.member, "twin"), "alive");
  assert.equal(one.member.members().find(({ name }) => name === "twin")?.port, twin.member.at.port);
});

test("a port in use, invalid keys and names, and a wildcard address without advertise are refused at the start", async (t) => {
  const one = await startMember(t, { name: "one" });
  const host = "127.0.0.1";
  const { port } = one.member.at;
  await assert.rejects(openMembership({ name: "two", host, port }), {
    kind: "unavailable",
    facts: { host, port, code: "EADDRINUSE" },
  });
  const udp = createSocket("udp4").bind(0, host);
  await once(udp, "listening");
  t.after(() => udp.close());
  await assert.rejects(openMembership({ name: "two", host, port: udp.address().port }), {
    kind: "unavailable",
  });
  await assert.rejects(openMembership({ name: "", host, port: 0 }), { kind: "config" });
  await assert.rejects(openMembership({ name: "x", host, port: 0, keys: ["short"] }), { kind: "config" });
  await assert.rejects(openMembership({ name: "x", host: "0.0.0.0", port: 0 }), { kind: "config" });
  await assert.rejects(openMembership({ name: "x", host, port: 0, tags: { a: "b".repeat(600) } }), {
    kind: "too-large",
  });
});

test("after a restart the member rejoins from its snapshot, and old events are not delivered again", async (t) => {
  const snapshot = { disk: systemDisk, path: `${scratch(t)}/serf.snapshot` };
  const one = await startMember(t, { name: "one" });
  const first = await startMember(t, { name: "two", snapshot });
  const { port } = first.member.at;
  await first.member.join([one.addr]);
  one.member.userEvent("old", Buffer.alloc(0));
  await until("first gets the event user-event", () =>
    first.events.some(({ kind }) => kind === "user-event"),
  );
  await first.member[Symbol.asyncDispose]();

  const second = await startMember(t, { name: "two", port, snapshot });
  assert.equal(await second.member.rejoin(), true);
  one.member.userEvent("new", Buffer.alloc(0));
  const received = (): string[] =>
    second.events.flatMap((event) => (event.kind === "user-event" ? [event.name] : []));
  await until("the new event arrives", () => received().includes("new"));
  await until("two is alive for one", () => statusOf(one.member, "two") === "alive");
  assert.deepEqual(received(), ["new"]);

  await second.member.leave();
  await second.member[Symbol.asyncDispose]();
  const third = await startMember(t, { name: "two", port, snapshot });
  assert.equal(await third.member.rejoin(), false, "a member that left does not rejoin");
});

test("calls that are too large or after a leave are refused and change nothing", async (t) => {
  const { member } = await startMember(t, { name: "one", tags: { a: "b" } });
  assert.throws(() => member.userEvent("big", Buffer.alloc(513)), { kind: "too-large" });
  assert.throws(() => member.query("big", Buffer.alloc(1_024)), { kind: "too-large" });
  assert.throws(() => member.query("q", Buffer.alloc(0), { tags: { role: "(" } }), { kind: "bad-request" });
  await assert.rejects(member.setTags({ a: "b".repeat(600) }), { kind: "too-large" });
  assert.deepEqual({ ...member.members()[0]?.tags }, { a: "b" });
  await member.leave();
  assert.throws(() => member.userEvent("late", Buffer.alloc(0)), { kind: "failed-precondition" });
  await assert.rejects(member.join(["127.0.0.1:1"]), { kind: "failed-precondition" });
});

test("streams that stall or flood are closed in time, and others are served meanwhile", async (t) => {
  const one = await startMember(t, {
    name: "one",
    streams: { inboundMax: 8, timeoutMs: 400, bytesMax: 100_000, inboundBytesMax: 300_000 },
  });
  const { port } = one.member.at;
  const sockets = Array.from({ length: 12 }, () => connect(port, "127.0.0.1"));
  let closed = 0;
  for (const socket of sockets) {
    socket.on("error", () => {});
    socket.on("close", () => closed++);
    socket.write(Buffer.from([6]));
  }
  await until("the streams beyond the limit are closed", () => closed >= 4);
  await until("all stalled streams are closed", () => closed === 12);
  const flood = connect(port, "127.0.0.1");
  flood.on("error", () => {});
  flood.write(Buffer.concat([Buffer.from("06dfffffffff", "hex"), Buffer.alloc(200_000)]));
  await new Promise((resolve) => flood.on("close", resolve));
  const two = await startMember(t, { name: "two" });
  assert.equal(await two.member.join([one.addr]), 1);
  assert.ok(one.events.some((event) => event.kind === "problem" && event.fault.kind === "overloaded"));
  assert.ok(one.events.some((event) => event.kind === "problem" && event.fault.kind === "deadline"));
});

test("a host that occupies all streams or their memory does not keep others from joining", async (t) => {
  const one = await startMember(t, {
    name: "one",
    streams: { inboundMax: 8, timeoutMs: 60_000, bytesMax: 100_000, inboundBytesMax: 150_000 },
  });
  const { port } = one.member.at;
  const open: Socket[] = [];
  t.after(() => {
    for (const socket of open) socket.destroy();
  });
  const hold = async (bytes: Buffer): Promise<void> => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    open.push(socket);
    await new Promise((resolve) => socket.write(bytes, resolve));
  };
  for (let count = 0; count < 8; count++) await hold(Buffer.from([6]));
  const two = await startMember(t, { name: "two" });
  assert.equal(await two.member.join([one.addr]), 1);
  // A push/pull of 90,000 bytes without its last byte, several times.
  const promise = encodePushPull({ join: false, nodes: [], userState: Buffer.alloc(90_000) });
  for (let count = 0; count < 8; count++) await hold(promise.subarray(0, -1));
  await until("a stream is closed for its bytes", () =>
    one.events.some((event) => event.kind === "problem" && /bytes/.test(event.fault.message)),
  );
  const three = await startMember(t, { name: "three" });
  assert.equal(await three.member.join([one.addr]), 1);
});

test("hostile bytes on real sockets are reported and do no harm", async (t) => {
  const one = await startMember(t, { name: "one", timing: localTiming });
  const two = await startMember(t, { name: "two", timing: localTiming });
  await two.member.join([one.addr]);
  const udp = createSocket("udp4");
  t.after(() => udp.close());
  const { port } = one.member.at;
  for (let count = 0; count < 2_000; count++) {
    const bytes = Buffer.alloc(1 + (count % 900), count % 251);
    bytes[0] = count % 16;
    udp.send(bytes, port, "127.0.0.1");
    if (count % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await until(
    "the hostile datagrams are counted",
    () => one.member.stats.malformed + one.events.length > 200,
  );
  // The flood can delay an ack. Then the member is suspected for a moment, and never fails.
  await until("two is alive for one", () => statusOf(one.member, "two") === "alive");
  one.member.userEvent("still", Buffer.alloc(0));
  await until("two gets the event user-event", () => two.events.some(({ kind }) => kind === "user-event"));
  assert.equal(endpointText(one.member.at), one.addr);
});

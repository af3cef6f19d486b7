/**
 * The ops port: probes, readiness with reasons, metrics, version, and closing.
 */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { type OpsOptions, OpsServer } from "../../../../src/server/ops/ops-server.ts";

const open = (more: Partial<OpsOptions> = {}): Promise<OpsServer> =>
  OpsServer.open({
    port: 0,
    prometheus: async () => "# TYPE a counter\na 1\n",
    version: { version: "1.2.3", node: "v26" },
    ...more,
  });

async function get(
  ops: OpsServer,
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; text: string; type: string | null }> {
  const response = await fetch(`http://${ops.address}${path}`, { ...init, headers: { connection: "close" } });
  return { status: response.status, text: await response.text(), type: response.headers.get("content-type") };
}

test("the port serves liveness, version and metrics, and lists its paths", async () => {
  await using ops = await open();
  for (const path of ["/livez", "/healthz"]) {
    assert.deepEqual(await get(ops, path), { status: 200, text: "ok\n", type: "text/plain; charset=utf-8" });
  }
  assert.deepEqual(JSON.parse((await get(ops, "/version")).text), { version: "1.2.3", node: "v26" });
  const metrics = await get(ops, "/metrics");
  assert.equal(metrics.text, "# TYPE a counter\na 1\n");
  assert.equal(metrics.type, "text/plain; version=0.0.4; charset=utf-8");
  assert.equal((await get(ops, "/nothing")).status, 404);
  assert.equal((await get(ops, "/livez", { method: "POST" })).status, 405);
});

test("unknown host names are refused on loopback only", async () => {
  const statusFor = async (ops: OpsServer, host: string): Promise<string> => {
    const port = Number(ops.address.split(":").at(-1));
    const socket = connect(port, "127.0.0.1");
    socket.write(`GET /metrics HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    return text.split(" ")[1] ?? "";
  };
  await using loopback = await open({ hosts: ["ops.example"] });
  assert.equal(await statusFor(loopback, "evil.example"), "403");
  for (const host of ["localhost:9080", "127.0.0.1", "[::1]:9080", "ops.example:9080"]) {
    assert.equal(await statusFor(loopback, host), "200", host);
  }
  await using elsewhere = await open({ host: "0.0.0.0" });
  assert.equal(await statusFor(elsewhere, "tailrace-0.tailrace:9080"), "200");
});

test("every response has nosniff, errors too", async () => {
  await using ops = await open({ prometheus: () => Promise.reject(new Error("no")) });
  for (const [path, method] of [
    ["/livez", "GET"],
    ["/readyz", "GET"],
    ["/metrics", "GET"],
    ["/version", "GET"],
    ["/nothing", "GET"],
    ["/livez", "POST"],
  ]) {
    const response = await fetch(`http://${ops.address}${path}`, { method: method ?? "GET" });
    await response.text();
    assert.equal(response.headers.get("x-content-type-options"), "nosniff", `${method} ${path}`);
  }
});

test("a node is ready if every check passes; a failed check is shown with its reason", async () => {
  await using ops = await open({ checkMs: 20 });
  assert.deepEqual(await get(ops, "/readyz"), {
    status: 200,
    text: "ok\n",
    type: "text/plain; charset=utf-8",
  });
  let leader: true | string = "no leader is known";
  ops.addCheck({ name: "leader", check: () => leader });
  ops.addCheck({ name: "disk", check: async () => true as const });
  assert.deepEqual(await get(ops, "/readyz").then(({ status, text }) => [status, text]), [
    503,
    "[-]leader failed: no leader is known\n",
  ]);
  assert.equal(
    (await get(ops, "/readyz?verbose")).text,
    "[+]running ok\n[-]leader failed: no leader is known\n[+]disk ok\nreadyz check failed\n",
  );
  leader = true;
  assert.equal((await get(ops, "/readyz?verbose")).status, 200);
  const remove = ops.addCheck({
    name: "broken",
    check: () => {
      throw new Error("thrown");
    },
  });
  assert.match((await get(ops, "/readyz")).text, /broken failed: thrown/);
  remove();
  ops.addCheck({ name: "stuck", check: () => new Promise<true>(() => {}) });
  assert.match((await get(ops, "/readyz")).text, /stuck failed: no answer within 20 ms/);
});

test("the notes of a ready node are shown behind its ok", async () => {
  await using ops = await open();
  ops.addCheck({ name: "sync", check: () => true, note: "never, acknowledged records can be lost" });
  const line = "[+]sync ok: never, acknowledged records can be lost\n";
  const { status, text } = await get(ops, "/readyz");
  assert.deepEqual([status, text], [200, `ok\n${line}`]);
  assert.equal((await get(ops, "/readyz?verbose")).text, `[+]running ok\n${line}readyz check passed\n`);
});

test("a draining node is alive and not ready", async () => {
  await using ops = await open();
  ops.drain();
  assert.equal((await get(ops, "/livez")).status, 200);
  const { status, text } = await get(ops, "/readyz");
  assert.equal(status, 503);
  assert.match(text, /shutting down/);
});

test("metrics that fail are a 500, and the next scrape tries again", async () => {
  let times = 0;
  await using ops = await open({
    prometheus: async () => {
      if (times++ === 0) throw new Error("not now");
      return "ok";
    },
  });
  assert.equal((await get(ops, "/metrics")).status, 500);
  assert.equal((await get(ops, "/metrics")).text, "ok");
});

test("closing ends open connections", { timeout: 300_000 }, async () => {
  const ops = await open();
  const [host = "", port = ""] = ops.address.split(":");
  const socket = connect(Number(port), host);
  await new Promise((resolve) => socket.once("connect", resolve));
  const ended = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  socket.write("GET /livez HTTP/1.1\r\nhost: ops\r\n\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  await ops[Symbol.asyncDispose]();
  await ended;
});

test("an address in use is a config fault", async () => {
  await using ops = await open();
  const port = Number(ops.address.split(":")[1]);
  await assert.rejects(
    open({ port }),
    (thrown) =>
      thrown instanceof Fault &&
      thrown.kind === "config" &&
      /^--ops-addr 127\.0\.0\.1:(\d+) is in use: another process listens on port \1\. .* with --ops-addr; /.test(
        thrown.message,
      ),
  );
});

test("a client that sends requests without reading responses is disconnected", async () => {
  await using ops = await open();
  const { hostname, port } = new URL(`http://${ops.address}`);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  socket.write("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(2000));
  let responses = 0;
  socket.setEncoding("latin1").on("data", (text: string) => {
    responses += text.split("HTTP/1.1 200").length - 1;
  });
  await new Promise((resolve) => socket.on("close", resolve));
  assert.ok(responses < 2000, `${responses}`);
});

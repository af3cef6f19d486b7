/** Silent peers: behind a proxy that forwards no bytes, and before a handshake. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { test } from "node:test";
import { encodeRun, openClient } from "../../../src/client/mod.ts";
import { serve } from "../../support/http/serve.ts";
import { until } from "../../support/until.ts";

interface Proxy extends AsyncDisposable {
  readonly addr: string;
  /** Bytes are not forwarded in both directions; connections stay open. */
  isSilent: boolean;
  readonly connections: number;
  /** Chunks that it has forwarded. */
  readonly chunks: number;
}

async function proxyTo(port: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let chunks = 0;
  const server: Server = createServer((near) => {
    connections++;
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (bytes: Buffer) => {
        if (proxy.isSilent) return;
        chunks++;
        to.write(bytes);
      });
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = {
    addr: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    isSilent: false,
    get connections() {
      return connections;
    },
    get chunks() {
      return chunks;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

const sessions = { connectMs: 300, pingIntervalMs: 150, pingTimeoutMs: 150 };
const one = encodeRun([{ value: "x" }]);

test("a ping detects a silent peer, and the tail continues at its position", async () => {
  await using served = await serve();
  await using proxy = await proxyTo(served.port);
  await using client = openClient({ addrs: [proxy.addr], discover: false, sessions });
  using tail = client.commitLog.follow(0);
  await served.log.append(one);
  while (tail.take() === undefined) assert.equal(await tail.ready(), true);
  proxy.isSilent = true;
  await served.log.append(one);
  const ready = tail.ready();
  const before = proxy.connections;
  await until("the client connects again", () => proxy.connections > before);
  proxy.isSilent = false;
  assert.equal(await ready, true);
  assert.deepEqual([tail.take()!.firstOffset, tail.position], [1, 2]);
});

test("a tail without new records keeps its connection", async () => {
  await using served = await serve();
  await using proxy = await proxyTo(served.port);
  await using client = openClient({ addrs: [proxy.addr], discover: false, sessions });
  using tail = client.commitLog.follow(0);
  const ready = tail.ready();
  await until("several pings were answered", () => proxy.chunks > 15);
  assert.equal(proxy.connections, 1);
  await served.log.append(one);
  assert.equal(await ready, true);
});

test("a host that accepts the connection without a handshake counts as unreachable, and nothing was written", async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  try {
    await using client = openClient({
      addr: `127.0.0.1:${port}`,
      tls: {},
      discover: false,
      sessions,
      limits: { attemptsMax: 2 },
    });
    const appending = client.commitLog.append(one, { expectedOffset: 0 });
    await assert.rejects(appending, (fault) => {
      assert.match(String(fault), /no connection to/);
      assert.deepEqual(
        [Reflect.get(fault as object, "kind"), Reflect.get(fault as object, "written")],
        ["unavailable", "no"],
      );
      return true;
    });
    assert.equal(sockets.length, 2, "one connection for each attempt");
  } finally {
    for (const socket of sockets) socket.destroy();
    silent.close();
  }
});

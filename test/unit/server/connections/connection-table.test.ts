import assert from "node:assert/strict";
import { test } from "node:test";
import { clientOf } from "../../../../src/lib/names/client-network.ts";
import {
  ConnectionTable,
  type TableConnection,
} from "../../../../src/server/connections/connection-table.ts";

const limits = { clientsMax: 6, perClientMax: 4, peersMax: 2, totalMax: 10, stalledMs: 2000 };

class TestPort {
  readonly table = new ConnectionTable(limits);
  readonly ended: TableConnection[] = [];
  nowMs = 0;

  arrive(address: string): TableConnection | undefined {
    const connection: TableConnection | undefined = this.table.arrive(address, this.nowMs, () => {
      if (connection !== undefined) this.ended.push(connection);
    });
    return connection;
  }

  /** Adds a client. Returns why it is refused. */
  client(address: string, subject?: string): string | undefined {
    const connection = this.arrive(address);
    if (connection === undefined) return "no place to arrive";
    const refusal = this.table.admitClient(connection, subject, this.nowMs);
    if (refusal !== undefined) this.table.leave(connection);
    else this.last = connection;
    return refusal;
  }

  last: TableConnection | undefined;

  /** A client that has made a request. */
  busyClient(address: string, subject?: string): string | undefined {
    const refusal = this.client(address, subject);
    if (refusal === undefined) this.table.busy(this.last as TableConnection);
    return refusal;
  }
}

test("one address has a limit, and the rest stays for others", () => {
  const port = new TestPort();
  for (let at = 0; at < 4; at++) assert.equal(port.busyClient("10.0.0.1"), undefined);
  port.nowMs = 60_000;
  assert.match(port.busyClient("10.0.0.1") ?? "", /^address 10\.0\.0\.1 has 4 connections/);
  assert.equal(port.busyClient("10.0.0.2"), undefined);
  assert.equal(port.busyClient("10.0.0.3"), undefined);
  assert.match(port.busyClient("10.0.0.3") ?? "", /^clients have 6 connections/);
  assert.equal(port.table.clients, 6);
  assert.deepEqual(port.ended, []);
});

test("one certificate has a limit, no matter how many addresses it comes from", () => {
  const port = new TestPort();
  for (let at = 0; at < 4; at++) assert.equal(port.busyClient(`10.0.0.${at}`, "reader"), undefined);
  assert.match(port.busyClient("10.0.0.9", "reader") ?? "", /^subject reader has 4 connections/);
  assert.equal(port.busyClient("10.0.0.9", "writer"), undefined);
});

test("a client without a request is ended for a new one once it has stalled", () => {
  const port = new TestPort();
  for (let at = 0; at < 4; at++) assert.equal(port.client("10.0.0.1"), undefined);
  const silent = port.last;
  port.nowMs = 1999;
  assert.match(port.client("10.0.0.1") ?? "", /^address/);
  port.nowMs = 2000;
  for (let at = 0; at < 4; at++) assert.equal(port.busyClient("10.0.0.1"), undefined);
  assert.equal(port.ended.length, 4);
  assert.equal(port.ended[3], silent);
  assert.match(port.busyClient("10.0.0.1") ?? "", /^address/, "clients with a request stay");
  assert.equal(port.table.clients, 4);
});

test("of clients whose requests have ended, the one that ended first is replaced", () => {
  const port = new TestPort();
  const clients: TableConnection[] = [];
  for (let at = 0; at < 4; at++) {
    assert.equal(port.busyClient("10.0.0.1"), undefined);
    clients.push(port.last as TableConnection);
  }
  port.nowMs = 10_000;
  port.table.idle(clients[2] as TableConnection, 9_000);
  port.table.idle(clients[0] as TableConnection, 9_500);
  assert.match(
    port.busyClient("10.0.0.1") ?? "",
    /^address/,
    "not at once, because it may send its next request",
  );
  port.nowMs = 11_400;
  assert.equal(port.busyClient("10.0.0.1"), undefined);
  assert.match(port.busyClient("10.0.0.1") ?? "", /^address/);
  assert.deepEqual(port.ended, [clients[2]]);
  port.table.busy(clients[0] as TableConnection);
  port.nowMs = 60_000;
  assert.match(port.busyClient("10.0.0.1") ?? "", /^address/);
});

test("peers have their own places, no matter how many clients there are", () => {
  const port = new TestPort();
  for (let at = 0; at < 20; at++) port.busyClient(`10.0.0.${at}`);
  for (let at = 0; at < 2; at++) {
    const peer = port.arrive("10.0.0.1");
    assert.ok(peer);
    assert.equal(port.table.admitPeer(peer), true);
  }
  const third = port.arrive("10.0.0.1");
  assert.ok(third);
  assert.equal(port.table.admitPeer(third), false);
});

test("an address with all places to arrive loses one to another address at once, and to itself after a stall", () => {
  const port = new TestPort();
  for (let at = 0; at < 10; at++) assert.ok(port.arrive("10.0.0.1"));
  assert.equal(port.arrive("10.0.0.1"), undefined);
  assert.ok(port.arrive("10.0.0.2"));
  assert.equal(port.ended.length, 1);
  assert.equal(port.ended[0]?.client, "10.0.0.1");
  port.nowMs = 2000;
  assert.ok(port.arrive("10.0.0.1"));
  assert.equal(port.ended.length, 2);
});

test("each place is released once", () => {
  const port = new TestPort();
  for (let round = 0; round < 100; round++) {
    assert.equal(port.client("10.0.0.1", "reader"), undefined);
    port.table.leave(port.last as TableConnection);
    port.table.leave(port.last as TableConnection);
    const peer = port.arrive("10.0.0.1") as TableConnection;
    assert.equal(port.table.admitPeer(peer), true);
    port.table.leave(peer);
    const gone = port.arrive("10.0.0.1") as TableConnection;
    port.table.leave(gone);
    assert.match(port.table.admitClient(gone, undefined, 0) ?? "", /closed/);
  }
  assert.equal(port.table.clients, 0);
});

test("the addresses of one IPv6 network are one client", () => {
  assert.equal(clientOf("192.0.2.7"), "192.0.2.7");
  assert.equal(clientOf("::ffff:192.0.2.7"), "192.0.2.7");
  assert.equal(clientOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(clientOf("2001:db8:1:2::6"), "2001:db8:1:2::/64");
  assert.equal(clientOf("2001:db8::6"), "2001:db8:0:0::/64");
  assert.equal(clientOf("::1"), "0:0:0:0::/64");
  assert.equal(clientOf("fe80::1%eth0"), "fe80:0:0:0::/64");
});

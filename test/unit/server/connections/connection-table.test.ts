import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Connection,
  ConnectionTable,
  clientOf,
} from "../../../../src/server/connections/connection-table.ts";

const limits = { clientsMax: 6, perClientMax: 4, peersMax: 2, totalMax: 10, stalledMs: 2000 };

class Door {
  readonly table = new ConnectionTable(limits);
  readonly ended: Connection[] = [];
  nowMs = 0;

  arrive(address: string): Connection | undefined {
    const connection: Connection | undefined = this.table.arrive(address, this.nowMs, () => {
      if (connection !== undefined) this.ended.push(connection);
    });
    return connection;
  }

  /** Answers why it is refused. */
  client(address: string, subject?: string): string | undefined {
    const connection = this.arrive(address);
    if (connection === undefined) return "no place to arrive";
    const why = this.table.admitClient(connection, subject, this.nowMs);
    if (why !== undefined) this.table.leave(connection);
    else this.last = connection;
    return why;
  }

  last: Connection | undefined;

  /** A client that has made a request. */
  asking(address: string, subject?: string): string | undefined {
    const why = this.client(address, subject);
    if (why === undefined) this.table.busy(this.last as Connection);
    return why;
  }
}

test("one address has its share and no more; the rest stays for others", () => {
  const door = new Door();
  for (let at = 0; at < 4; at++) assert.equal(door.asking("10.0.0.1"), undefined);
  door.nowMs = 60_000;
  assert.match(door.asking("10.0.0.1") ?? "", /^address 10\.0\.0\.1 has 4 connections/);
  assert.equal(door.asking("10.0.0.2"), undefined);
  assert.equal(door.asking("10.0.0.3"), undefined);
  assert.match(door.asking("10.0.0.3") ?? "", /^clients have 6 connections/);
  assert.equal(door.table.clients, 6);
  assert.deepEqual(door.ended, []);
});

test("one certificate has its share, from however many addresses it comes", () => {
  const door = new Door();
  for (let at = 0; at < 4; at++) assert.equal(door.asking(`10.0.0.${at}`, "reader"), undefined);
  assert.match(door.asking("10.0.0.9", "reader") ?? "", /^subject reader has 4 connections/);
  assert.equal(door.asking("10.0.0.9", "writer"), undefined);
});

test("a client that never asks makes room once it has stalled, and not before", () => {
  const door = new Door();
  for (let at = 0; at < 4; at++) assert.equal(door.client("10.0.0.1"), undefined);
  const silent = door.last;
  door.nowMs = 1999;
  assert.match(door.client("10.0.0.1") ?? "", /^address/);
  door.nowMs = 2000;
  for (let at = 0; at < 4; at++) assert.equal(door.asking("10.0.0.1"), undefined);
  assert.equal(door.ended.length, 4);
  assert.equal(door.ended[3], silent);
  assert.match(door.asking("10.0.0.1") ?? "", /^address/, "those that asked stay");
  assert.equal(door.table.clients, 4);
});

test("a client whose request has ended makes room, the one that ended first", () => {
  const door = new Door();
  const clients: Connection[] = [];
  for (let at = 0; at < 4; at++) {
    assert.equal(door.asking("10.0.0.1"), undefined);
    clients.push(door.last as Connection);
  }
  door.nowMs = 10_000;
  door.table.idle(clients[2] as Connection, 9_000);
  door.table.idle(clients[0] as Connection, 9_500);
  assert.match(door.asking("10.0.0.1") ?? "", /^address/, "not at once: it may have the next request ready");
  door.nowMs = 11_400;
  assert.equal(door.asking("10.0.0.1"), undefined);
  assert.match(door.asking("10.0.0.1") ?? "", /^address/);
  assert.deepEqual(door.ended, [clients[2]]);
  door.table.busy(clients[0] as Connection);
  door.nowMs = 60_000;
  assert.match(door.asking("10.0.0.1") ?? "", /^address/);
});

test("peers find a place however many clients there are", () => {
  const door = new Door();
  for (let at = 0; at < 20; at++) door.asking(`10.0.0.${at}`);
  for (let at = 0; at < 2; at++) {
    const peer = door.arrive("10.0.0.1");
    assert.ok(peer);
    assert.equal(door.table.admitPeer(peer), true);
  }
  const third = door.arrive("10.0.0.1");
  assert.ok(third);
  assert.equal(door.table.admitPeer(third), false);
});

test("who takes all places to arrive gives them up to another address at once, to itself when they stall", () => {
  const door = new Door();
  for (let at = 0; at < 10; at++) assert.ok(door.arrive("10.0.0.1"));
  assert.equal(door.arrive("10.0.0.1"), undefined);
  assert.ok(door.arrive("10.0.0.2"));
  assert.equal(door.ended.length, 1);
  assert.equal(door.ended[0]?.client, "10.0.0.1");
  door.nowMs = 2000;
  assert.ok(door.arrive("10.0.0.1"));
  assert.equal(door.ended.length, 2);
});

test("each place is given back once", () => {
  const door = new Door();
  for (let round = 0; round < 100; round++) {
    assert.equal(door.client("10.0.0.1", "reader"), undefined);
    door.table.leave(door.last as Connection);
    door.table.leave(door.last as Connection);
    const peer = door.arrive("10.0.0.1") as Connection;
    assert.equal(door.table.admitPeer(peer), true);
    door.table.leave(peer);
    const gone = door.arrive("10.0.0.1") as Connection;
    door.table.leave(gone);
    assert.match(door.table.admitClient(gone, undefined, 0) ?? "", /closed/);
  }
  assert.equal(door.table.clients, 0);
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

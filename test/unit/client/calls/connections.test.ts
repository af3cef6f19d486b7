import assert from "node:assert/strict";
import { test } from "node:test";
import type { Transport } from "@connectrpc/connect";
import { Connections } from "../../../../src/client/calls/connections.ts";

const transport = {} as Transport;

function open() {
  const dialed: string[] = [];
  const closed: string[] = [];
  const connections = new Connections((addr) => {
    dialed.push(addr);
    return { transport, close: () => closed.push(addr), isConnecting: () => addr === "slow:1" };
  });
  return { connections, dialed, closed };
}

test("an address is dialed when it is first used, and once", () => {
  const { connections, dialed } = open();
  assert.deepEqual(dialed, []);
  connections.to("a:1");
  connections.to("a:1");
  assert.deepEqual(dialed, ["a:1"]);
});

test("beyond 32 connections the least recently used one is closed", () => {
  const { connections, dialed, closed } = open();
  for (let at = 0; at < 32; at++) connections.to(`n${at}:1`);
  connections.to("n0:1");
  connections.to("new:1");
  assert.deepEqual(closed, ["n1:1"]);
  connections.to("n1:1");
  assert.deepEqual([closed, dialed.length], [["n1:1", "n2:1"], 34]);
});

test("only an open connection can be connecting", () => {
  const { connections } = open();
  assert.equal(connections.isConnecting("slow:1"), false);
  for (const addr of ["slow:1", "fast:1"]) connections.to(addr);
  assert.deepEqual([connections.isConnecting("slow:1"), connections.isConnecting("fast:1")], [true, false]);
});

test("all connections are closed at the end, once", () => {
  const { connections, closed } = open();
  for (const addr of ["a:1", "b:1"]) connections.to(addr);
  connections[Symbol.dispose]();
  connections[Symbol.dispose]();
  assert.deepEqual(closed, ["a:1", "b:1"]);
});

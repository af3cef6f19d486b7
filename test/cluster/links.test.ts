/** The proxies between nodes, tested with two echo servers in their own processes instead of nodes. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Links } from "../chaos/network/links.ts";
import { freePort } from "../support/process/free-port.ts";
import { until } from "../support/until.ts";

/**
 * Echoes received bytes over TCP, and prints received datagrams. On stdin, `call PORT` opens a connection, sends "hello"
 * and prints the answers; `tell PORT` sends a datagram.
 */
const program = `
const net = require("node:net"), udp = require("node:dgram").createSocket("udp4");
const port = Number(process.argv[1]);
net.createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(port, "127.0.0.1", () => console.log("ready"));
udp.on("message", (bytes, from) => console.log("datagram " + bytes + " " + from.port)).bind(port, "127.0.0.1");
process.stdin.on("data", (text) => {
  const [verb, to] = String(text).trim().split(" ");
  if (verb === "tell") return udp.send("news", Number(to), "127.0.0.1");
  const socket = net.connect(Number(to), "127.0.0.1", () => socket.write("hello"));
  socket.on("data", (bytes) => console.log("received " + bytes)).on("error", (e) => console.log(e.code));
});
`;

interface Peer {
  readonly name: string;
  readonly child: ChildProcess;
  readonly proxyPort: number;
  ask(line: string): void;
  received(line: string): Promise<void>;
  lines(): string;
}

async function peer(t: { after(work: () => void): void }, links: Links, name: string): Promise<Peer> {
  const [port, proxyPort] = [await freePort(), await freePort()];
  const child = spawn(process.execPath, ["-e", program, String(port)]);
  t.after(() => child.kill("SIGKILL"));
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  const received = async (line: string): Promise<void> => {
    await until(`${name} prints ${line}`, () => printed.includes(`${line}\n`));
  };
  await received("ready");
  await links.add(name, port, proxyPort);
  await links.up(name, child.pid!);
  return {
    name,
    child,
    proxyPort,
    received,
    lines: () => printed,
    ask: (line) => void child.stdin.write(`${line}\n`),
  };
}

async function client(port: number): Promise<{ socket: Socket; next(): Promise<string> }> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return { socket, next: async () => String((await once(socket, "data"))[0]) };
}

test("bytes between two nodes wait while their link is cut, and those of clients pass", async (t) => {
  await using links = new Links();
  const [a, b] = [await peer(t, links, "a"), await peer(t, links, "b")];
  a.ask(`call ${b.proxyPort}`);
  await a.received("received hello");
  links.set("a", "b", { cut: true });
  a.ask(`call ${b.proxyPort}`);
  const far = await client(b.proxyPort);
  t.after(() => far.socket.destroy());
  far.socket.write("hi");
  assert.equal(await far.next(), "hi");
  await pause(200);
  assert.equal(a.lines().match(/received hello/g)?.length, 1);
  links.heal();
  await until("the second answer arrives", () => a.lines().match(/received hello/g)?.length === 2);
});

test("a link that is cut in one direction delays only the answers", async (t) => {
  await using links = new Links();
  const [a, b] = [await peer(t, links, "a"), await peer(t, links, "b")];
  links.set("b", "a", { cut: true });
  a.ask(`call ${b.proxyPort}`);
  await pause(200);
  assert.doesNotMatch(a.lines(), /received/);
  links.heal();
  await a.received("received hello");
});

test("datagrams come from the advertised address of their sender, and are lost while the link is cut", async (t) => {
  await using links = new Links();
  const [a, b] = [await peer(t, links, "a"), await peer(t, links, "b")];
  a.ask(`tell ${b.proxyPort}`);
  await b.received(`datagram news ${a.proxyPort}`);
  links.set("a", "b", { cut: true });
  a.ask(`tell ${b.proxyPort}`);
  await until("the datagram is lost", () => links.passed.lost > 0);
  links.heal();
  assert.equal(b.lines().match(/datagram/g)?.length, 1);
});

test("a connection is reset after the given number of bytes", async (t) => {
  await using links = new Links();
  const [a, b] = [await peer(t, links, "a"), await peer(t, links, "b")];
  links.set("b", "a", { delayMs: 300 });
  a.ask(`call ${b.proxyPort}`);
  await until("the connection is open", () => links.passed.connections > 0);
  links.reset("a", "b", 3);
  await a.received("ECONNRESET");
  assert.doesNotMatch(a.lines(), /received hello/);
});

test("the proxy of a node that is down refuses connections until the node is up", async (t) => {
  await using links = new Links();
  const [a, b] = [await peer(t, links, "a"), await peer(t, links, "b")];
  links.down("b");
  a.ask(`call ${b.proxyPort}`);
  await a.received("ECONNREFUSED");
  await links.up("b", b.child.pid!);
  a.ask(`call ${b.proxyPort}`);
  await a.received("received hello");
});

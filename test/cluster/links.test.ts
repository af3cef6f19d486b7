/** The proxies between nodes, with two echo servers in processes of their own for nodes. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { Links } from "../support/chaos/network/links.ts";
import { freePort } from "../support/free-port.ts";

/**
 * Echoes what it is sent, over TCP and UDP. On stdin it takes `call PORT` and opens a connection on which it says
 * hello and then tells on stdout what it hears; `tell PORT` sends a datagram.
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
  socket.on("data", (bytes) => console.log("heard " + bytes)).on("error", (e) => console.log(e.code));
});
`;

interface Peer {
  readonly name: string;
  readonly child: ChildProcess;
  readonly proxyPort: number;
  ask(line: string): void;
  heard(line: string): Promise<void>;
  lines(): string;
}

async function peer(t: { after(work: () => void): void }, links: Links, name: string): Promise<Peer> {
  const [port, proxyPort] = [await freePort(), await freePort()];
  const child = spawn(process.execPath, ["-e", program, String(port)]);
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const heard = async (line: string): Promise<void> => {
    while (!said.includes(`${line}\n`))
      await once(child.stdout, "data", { signal: AbortSignal.timeout(20_000) });
  };
  await heard("ready");
  await links.add(name, port, proxyPort);
  await links.up(name, child.pid!);
  return {
    name,
    child,
    proxyPort,
    heard,
    lines: () => said,
    ask: (line) => void child.stdin.write(`${line}\n`),
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function client(port: number): Promise<{ socket: Socket; next(): Promise<string> }> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return { socket, next: async () => String((await once(socket, "data"))[0]) };
}

test("what one node sends to another is held back while their link is cut, and clients are not", async (t) => {
  await using links = new Links();
  const [a, b] = [await peer(t, links, "a"), await peer(t, links, "b")];
  a.ask(`call ${b.proxyPort}`);
  await a.heard("heard hello");
  links.set("a", "b", { cut: true });
  a.ask(`call ${b.proxyPort}`);
  const far = await client(b.proxyPort);
  t.after(() => far.socket.destroy());
  far.socket.write("hi");
  assert.equal(await far.next(), "hi");
  await pause(200);
  assert.equal(a.lines().match(/heard hello/g)?.length, 1);
  links.heal();
  while (a.lines().match(/heard hello/g)?.length !== 2) await once(a.child.stdout!, "data");
});

test("a link cut in one direction only holds back the answers", async (t) => {
  await using links = new Links();
  const [a, b] = [await peer(t, links, "a"), await peer(t, links, "b")];
  links.set("b", "a", { cut: true });
  a.ask(`call ${b.proxyPort}`);
  await pause(200);
  assert.doesNotMatch(a.lines(), /heard/);
  links.heal();
  await a.heard("heard hello");
});

test("datagrams come from the address that their sender advertises, and are lost where the link is cut", async (t) => {
  await using links = new Links();
  const [a, b] = [await peer(t, links, "a"), await peer(t, links, "b")];
  a.ask(`tell ${b.proxyPort}`);
  await b.heard(`datagram news ${a.proxyPort}`);
  links.set("a", "b", { cut: true });
  a.ask(`tell ${b.proxyPort}`);
  while (links.passed.lost === 0) await pause(10);
  links.heal();
  assert.equal(b.lines().match(/datagram/g)?.length, 1);
});

test("a connection is reset in the middle of what it carries", async (t) => {
  await using links = new Links();
  const [a, b] = [await peer(t, links, "a"), await peer(t, links, "b")];
  links.set("b", "a", { delayMs: 300 });
  a.ask(`call ${b.proxyPort}`);
  while (links.passed.connections === 0) await pause(5);
  links.reset("a", "b", 3);
  await a.heard("ECONNRESET");
  assert.doesNotMatch(a.lines(), /heard hello/);
});

test("where a node is down its proxy refuses connections, until it is up again", async (t) => {
  await using links = new Links();
  const [a, b] = [await peer(t, links, "a"), await peer(t, links, "b")];
  links.down("b");
  a.ask(`call ${b.proxyPort}`);
  await a.heard("ECONNREFUSED");
  await links.up("b", b.child.pid!);
  a.ask(`call ${b.proxyPort}`);
  await a.heard("heard hello");
});

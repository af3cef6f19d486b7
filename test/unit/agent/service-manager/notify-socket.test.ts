/** The socket for notifications, with a receiver in Python: Node has no Unix datagram sockets. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { openNotifySocket, socketAddress } from "../../../../src/agent/service-manager/notify-socket.ts";
import { requireProgram } from "../../../support/process/require-program.ts";
import { scratch } from "../../../support/scratch.ts";

test("an address is a path or a name in the abstract namespace, with at most 107 bytes", () => {
  const text = (address: string): string | undefined => {
    const bytes = socketAddress(address);
    return bytes && Buffer.from(bytes.subarray(2)).toString("latin1");
  };
  assert.equal(text("/run/notify"), "/run/notify\0");
  assert.equal(text("@abstract"), "\0abstract");
  assert.equal(text(`/${"x".repeat(106)}`)?.length, 108);
  for (const wrong of ["", "/", "@", "notify", "vsock:2:1", `/${"x".repeat(107)}`])
    assert.equal(text(wrong), undefined, wrong);
  assert.throws(() => openNotifySocket("notify"), /NOTIFY_SOCKET must be a path or @name, not "notify"/);
});

const receiver = `
import socket, sys
address = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("\\0" + address[1:] if address[0] == "@" else address)
print("bound", flush=True)
for _ in range(2): print(receiver.recv(4096).decode(), flush=True)
`;

for (const kind of ["path", "abstract name"]) {
  test(`a datagram reaches the socket of a ${kind}`, requireProgram("python3"), async (t) => {
    const path = join(scratch(t), "s");
    const address = kind === "path" ? path : `@tailrace-test${path}`;
    using socket = openNotifySocket(address);
    assert.match(socket.send("READY=1") ?? "", /^sendto failed with errno \d+$/, "there is no receiver yet");
    const child = spawn("python3", ["-c", receiver, address], { stdio: ["ignore", "pipe", "inherit"] });
    t.after(() => child.kill("SIGKILL"));
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const line = async (): Promise<string | undefined> => (await lines.next()).value;
    assert.equal(await line(), "bound");
    assert.equal(socket.send("READY=1"), undefined);
    assert.equal(await line(), "READY=1");
    assert.equal(socket.send("STATUS=ünready"), undefined);
    assert.equal(await line(), "STATUS=ünready");
    if (child.exitCode === null) await once(child, "close");
  });
}

test("a socket that is disposed frees its descriptor", { skip: process.platform !== "linux" }, (t) => {
  const address = join(scratch(t), "s");
  const descriptors = (): number => readdirSync("/proc/self/fd").length;
  openNotifySocket(address)[Symbol.dispose](); // loads the C library
  const before = descriptors();
  for (let n = 0; n < 20; n++) {
    const socket = openNotifySocket(address);
    socket[Symbol.dispose]();
    socket[Symbol.dispose]();
    assert.equal(socket.send("READY=1"), "the socket is closed");
  }
  assert.equal(descriptors(), before);
});

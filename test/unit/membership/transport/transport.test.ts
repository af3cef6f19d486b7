import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import type { Fault } from "../../../../src/fault.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { openTransport } from "../../../../src/membership/transport/transport.ts";

const open = async () => {
  const transport = await openTransport({
    host: "127.0.0.1",
    port: 0,
    listen: true,
    wire: { label: "", keyring: undefined },
    limits: { bytesMax: 1000, inboundMax: 4, inboundBytesMax: 4000, timeoutMs: 5000 },
    clock: systemClock,
  });
  return { transport, [Symbol.asyncDispose]: () => transport.close() };
};

test("an error in a handler is reported as a problem, for datagrams and streams", async () => {
  await using opened = await open();
  const { transport } = opened;
  const { port } = transport.bound;
  const faults: Fault[] = [];
  let received = Promise.withResolvers<void>();
  const boom = (): never => {
    throw new TypeError("boom");
  };
  transport.start({
    onPacket: boom,
    onStream: boom,
    onProblem: (_from, fault) => {
      faults.push(fault);
      received.resolve();
    },
  });
  const udp = createSocket("udp4");
  for (let turn = 0; turn < 2; turn++) {
    received = Promise.withResolvers();
    udp.send(Buffer.from([0, 0, 0, 0]), port, "127.0.0.1");
    await received.promise;
  }
  udp.close();
  for (let turn = 0; turn < 2; turn++) {
    received = Promise.withResolvers();
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    // memberlist's ping on a stream: type 0 and a map.
    socket.write(Buffer.from("0082a55365714e6f01a44e6f6465a178", "hex"));
    await Promise.all([received.promise, once(socket, "close")]);
  }
  assert.equal(faults.length, 4);
  assert.ok(faults.some(({ kind, message }) => kind === "unknown" && message.includes("boom")));
});

test("a datagram to an invalid address is lost without an error", async () => {
  await using opened = await open();
  for (const port of [0, 65_536, -1, Number.NaN]) {
    opened.transport.send({ to: { host: "127.0.0.1", port }, parts: [Buffer.from([0])], crc: false });
  }
});

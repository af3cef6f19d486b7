/**
 * A relay in front of an agent, which advertises the relay's address. It passes on all streams, and drops a share of the
 * datagrams.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { Prng } from "../../../src/lib/prng.ts";
import type { Transport, TransportOptions } from "../../../src/membership/transport/transport.ts";
import { openTransport } from "../../../src/membership/transport/transport.ts";

export interface Relay {
  readonly addr: string;
  readonly passed: number;
  readonly dropped: number;
}

/** Relays to a port of this machine until the end of the test. */
export async function lossyRelay(
  t: { after(work: () => void): void },
  toPort: number,
  loss: number,
  chance: Prng,
): Promise<Relay> {
  const open = new Set<Socket>();
  const server = createServer((from) => {
    const to = connect(toPort, "127.0.0.1");
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      open.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = (server.address() as { port: number }).port;
  const relay = { addr: `127.0.0.1:${port}`, passed: 0, dropped: 0 };
  const datagrams = createSocket("udp4").on("message", (bytes) => {
    if (chance.chance(loss)) relay.dropped++;
    else {
      relay.passed++;
      datagrams.send(bytes, toPort, "127.0.0.1");
    }
  });
  datagrams.bind(port, "127.0.0.1");
  await once(datagrams, "listening");
  t.after(() => {
    datagrams.close();
    server.close();
    for (const socket of open) socket.destroy();
  });
  return relay;
}

/** Returns a transport that drops this share of the received datagrams. */
export function lossyTransport(
  loss: number,
  chance: Prng,
): (options: TransportOptions) => Promise<Transport> {
  return async (options) => {
    const transport = await openTransport(options);
    return {
      ...transport,
      start: (handlers) =>
        transport.start({
          ...handlers,
          onPacket: (from, messages) => {
            if (!chance.chance(loss)) handlers.onPacket(from, messages);
          },
        }),
    };
  };
}

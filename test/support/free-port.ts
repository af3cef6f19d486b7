/**
 * A port of loopback for a server that will come and go: below those that the system hands out by itself, so that no
 * connection that somebody makes takes it while the server is away.
 *
 * Never: holds it.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

const [lowest, highest] = [12_000, 31_000];

/** Free for TCP and UDP a moment ago. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    const server = createServer();
    const datagrams = createSocket("udp4");
    try {
      server.listen(port, "127.0.0.1");
      datagrams.bind(port, "127.0.0.1");
      await Promise.all([once(server, "listening"), once(datagrams, "listening")]);
      return port;
    } catch {
      // Somebody has it: another one.
    } finally {
      await new Promise((resolve) => server.close(resolve));
      await new Promise<void>((resolve) => datagrams.close(resolve));
    }
  }
  throw new Error("no port is free");
}

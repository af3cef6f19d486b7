/**
 * Takes a port. Port 0 is one that is free for TCP and UDP alike, since gossip shares the number; for the same reason
 * a port of one's own choice may have to be free for UDP as well.
 *
 * Never: accepts a connection.
 */
import { createSocket } from "node:dgram";
import { type AddressInfo, createServer, isIPv6, type Server } from "node:net";
import { Fault } from "../fault.ts";
import { type Address, printAddress } from "../lib/value-kind.ts";

const attemptsMax = 32;

/**
 * Listens at `address`; answers where. Throws Fault "config" in one sentence when the port cannot be had, for UDP too
 * with `udp`.
 */
export async function bind(server: Server, address: Address, udp = false): Promise<Address> {
  for (let attempt = 1; ; attempt++) {
    await listen(server, address);
    const { port } = server.address() as AddressInfo;
    const chosen = address.port !== 0;
    if ((chosen && !udp) || (await isFreeForUdp(address.host, port))) return { host: address.host, port };
    await new Promise<void>((resolve) => server.close(() => resolve()));
    if (chosen) {
      throw new Fault("config", {
        message: `${printAddress(address)} is in use for UDP, which gossip needs; --gossip-addr takes another`,
      });
    }
    if (attempt === attemptsMax) {
      throw new Fault("config", { message: `no port of ${address.host} is free for both TCP and UDP` });
    }
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use",
  EACCES: "needs more rights than this process has",
  EADDRNOTAVAIL: "is not an address of this machine",
  ENOTFOUND: "has a host name that does not resolve",
};

/** Why an address cannot be listened on, in words that follow it. */
export const listenFailure = (cause: unknown): string => {
  const code = (cause as NodeJS.ErrnoException).code ?? "error";
  return reasons[code] ?? `cannot be listened on (${code})`;
};

function listen(server: Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      server.off("listening", onListening);
      reject(new Fault("config", { message: `${printAddress(address)} ${listenFailure(cause)}`, cause }));
    };
    const onListening = (): void => {
      server.off("error", onError);
      resolve();
    };
    server.once("error", onError);
    server.once("listening", onListening);
    server.listen({ port: address.port, host: address.host === "" ? "::" : address.host, backlog: 4096 });
  });
}

/** Could this address be had for both TCP and UDP just now? Throws Fault "config" when not. Keeps nothing. */
export async function checkFree(address: Address): Promise<void> {
  const server = createServer();
  await bind(server, address, true);
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

function isFreeForUdp(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) || host === "" ? "udp6" : "udp4");
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind(port, host === "" ? "::" : host, () => socket.close(() => resolve(true)));
  });
}

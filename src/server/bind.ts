/**
 * Binds a server to its port. Gossip uses UDP with the same port number, so port 0 picks one that is free for TCP and UDP,
 * and a given port may be required to be free for UDP too.
 */
import { createSocket } from "node:dgram";
import { type AddressInfo, createServer, isIPv6, type Server } from "node:net";
import { Fault } from "../fault.ts";
import { type Address, printAddress } from "../lib/value-kind.ts";

const attemptsMax = 32;

/** The flag of an address, and the address that it sets. */
export interface FlagAddress {
  readonly flag: "--addr" | "--gossip-addr" | "--ops-addr";
  readonly address: Address;
}

/**
 * Listens at `address` and returns it with the port that was picked. With `udp` the port must be free for UDP too.
 * @throws Fault "config" that names the flag, if the address is not available
 */
export async function bind(server: Server, { flag, address }: FlagAddress, udp = false): Promise<Address> {
  const named = `${flag} ${printAddress(address)}`;
  for (let attempt = 1; ; attempt++) {
    await listen(server, address, named);
    const { port } = server.address() as AddressInfo;
    const isGiven = address.port !== 0;
    if ((isGiven && !udp) || (await isFreeForUdp(address.host, port))) return { host: address.host, port };
    await new Promise<void>((resolve) => server.close(() => resolve()));
    if (isGiven) {
      throw new Fault("config", {
        message: `${named} is in use for UDP, which gossip needs; set another one with --gossip-addr`,
      });
    }
    if (attempt === attemptsMax) {
      throw new Fault("config", { message: `no port of ${address.host} is free for both TCP and UDP` });
    }
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use",
  EACCES: "needs a permission that this process does not have (most systems: for ports below 1024)",
  EADDRNOTAVAIL: "is not an address of this machine",
  ENOTFOUND: "has a host name that does not resolve",
};

/** Why an address is not available, as a phrase that follows the address. */
export const listenFailure = (cause: unknown): string => {
  const code = (cause as NodeJS.ErrnoException).code ?? "error";
  return reasons[code] ?? `cannot be listened on (${code})`;
};

function listen(server: Server, address: Address, named: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      server.off("listening", onListening);
      reject(new Fault("config", { message: `${named} ${listenFailure(cause)}`, cause }));
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

/**
 * Checks that the address is free for TCP and UDP now, and releases it again.
 * @throws Fault "config" that names the flag, if it is not
 */
export async function checkFree(given: FlagAddress): Promise<void> {
  const server = createServer();
  await bind(server, given, true);
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

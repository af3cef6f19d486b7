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
    await listen(server, { flag, address });
    const { port } = server.address() as AddressInfo;
    const isGiven = address.port !== 0;
    if ((isGiven && !udp) || (await isFreeForUdp(address.host, port))) return { host: address.host, port };
    await new Promise<void>((resolve) => server.close(() => resolve()));
    if (isGiven) {
      throw new Fault("config", {
        message: `${named} is in use for UDP, which gossip needs. To see the process: ${listenersOf(address.port, "udp")}. Choose another port with ${flag}${flag === "--addr" ? ", or one for gossip with --gossip-addr" : ""}`,
      });
    }
    if (attempt === attemptsMax) {
      throw new Fault("config", { message: `no port of ${address.host} is free for both TCP and UDP` });
    }
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "needs a permission that this process does not have (most systems: for ports below 1024)",
  EADDRNOTAVAIL: "is not an address of this machine",
  ENOTFOUND: "has a host name that does not resolve",
};

/** The command that lists the processes that use a port. */
function listenersOf(port: number, protocol: "tcp" | "udp"): string {
  if (process.platform === "linux") return `ss -lnp${protocol[0]} 'sport = :${port}'`;
  if (process.platform === "win32") return `netstat -ano -p ${protocol}`;
  return `lsof -nP -i${protocol.toUpperCase()}:${port}`;
}

/** The fault of an address that is not available: it names the flag and says what to do. */
export function listenFault({ flag, address }: FlagAddress, cause: unknown): Fault {
  const code = (cause as NodeJS.ErrnoException).code ?? "error";
  const { port } = address;
  const why =
    code === "EADDRINUSE"
      ? `is in use: another process listens on port ${port}. To see it: ${listenersOf(port, "tcp")}. Choose another port with ${flag}; port 0 picks a free one`
      : (reasons[code] ?? `cannot be listened on (${code})`);
  return new Fault("config", { message: `${flag} ${printAddress(address)} ${why}`, cause });
}

function listen(server: Server, given: FlagAddress): Promise<void> {
  const { address } = given;
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      server.off("listening", onListening);
      reject(listenFault(given, cause));
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

/** The UDP socket of gossip. */
import { createSocket, type Socket } from "node:dgram";
import { addressBytes, addressText, type Endpoint } from "../codec/address.ts";
import { bindFault } from "./faults.ts";

export interface Datagrams {
  readonly port: number;
  send(to: Endpoint, bytes: Uint8Array): void;
  /** Called for every datagram. The caller sets it. */
  onDatagram: (from: Endpoint, bytes: Buffer) => void;
  close(): Promise<void>;
}

/** @throws Fault "unavailable" with the reason if the port cannot be bound */
export function openDatagrams(host: string, port: number): Promise<Datagrams> {
  const v6 = host.includes(":");
  const socket = createSocket({
    type: v6 ? "udp6" : "udp4",
    // Addresses are numeric here, so no packet needs the resolver. A socket that is bound to all interfaces of both
    // families reaches IPv4 by mapped IPv6 addresses.
    lookup: (name, _options, found) =>
      v6 ? found(null, name.includes(":") ? name : `::ffff:${name}`, 6) : found(null, name, 4),
  });
  return new Promise((resolve, reject) => {
    socket.once("error", (cause) => {
      socket.close();
      reject(bindFault(cause, host, port));
    });
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeAllListeners("error");
      resolve(wrap(socket));
    });
  });
}

function wrap(socket: Socket): Datagrams {
  let open = true;
  const datagrams: Datagrams = {
    port: socket.address().port,
    send(to, bytes) {
      // Gossip tolerates lost datagrams. Node throws for an invalid address, such as port 0, which a peer may have sent.
      try {
        if (open) socket.send(bytes, to.port, to.host, () => {});
      } catch {}
    },
    onDatagram: () => {},
    close: () =>
      new Promise((resolve) => {
        if (!open) return resolve();
        open = false;
        socket.close(() => resolve());
      }),
  };
  socket.on("error", () => {});
  socket.on("message", (bytes, from) => {
    datagrams.onDatagram({ host: normalizeAddress(from.address), port: from.port }, bytes);
  });
  return datagrams;
}

/** Removes a zone, and the IPv6 prefix of a mapped IPv4 address. The protocol has neither. */
export function normalizeAddress(address: string): string {
  const bare = address.split("%")[0] as string;
  return bare.includes(":") && !bare.includes(".")
    ? (addressText(addressBytes(bare)) ?? bare)
    : bare.slice(bare.lastIndexOf(":") + 1);
}

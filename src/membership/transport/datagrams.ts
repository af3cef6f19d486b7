/**
 * The UDP socket of gossip.
 *
 * Never: queues; looks into a datagram.
 */
import { createSocket, type Socket } from "node:dgram";
import { Fault } from "../../fault.ts";
import { addressBytes, addressText, type Endpoint } from "../codec/address.ts";

export interface Datagrams {
  readonly port: number;
  send(to: Endpoint, bytes: Uint8Array): void;
  /** Set before the first datagram is of interest. */
  onDatagram: (from: Endpoint, bytes: Buffer) => void;
  close(): Promise<void>;
}

/** Binds. Throws Fault "unavailable" with the reason when the port is not to be had. */
export function openDatagrams(host: string, port: number): Promise<Datagrams> {
  const v6 = host.includes(":");
  const socket = createSocket({
    type: v6 ? "udp6" : "udp4",
    // Addresses are numeric here: the resolver has nothing to do, packet by packet. A socket bound to all interfaces
    // of both families reaches IPv4 in the form of IPv6.
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
      // A datagram that cannot be sent is a lost one: gossip lives with that. Node throws at once for an address that
      // cannot be, such as port 0, and others may have told us one.
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

/** Node may write IPv4 in IPv6, or a zone behind the address; the protocol knows neither. */
export function normalizeAddress(address: string): string {
  const bare = address.split("%")[0] as string;
  return bare.includes(":") && !bare.includes(".")
    ? (addressText(addressBytes(bare)) ?? bare)
    : bare.slice(bare.lastIndexOf(":") + 1);
}

/** The boundary of the port: whatever a message makes us throw is a problem of that message. */
export const faultOf = (reason: unknown): Fault =>
  reason instanceof Fault
    ? reason
    : new Fault("unknown", { message: `a message could not be handled, ${String(reason)}`, cause: reason });

export function bindFault(cause: unknown, host: string, port: number): Fault {
  const code = (cause as NodeJS.ErrnoException).code ?? "unknown";
  return new Fault("unavailable", {
    message: "the gossip port cannot be bound",
    facts: { host, port, code },
    cause,
  });
}

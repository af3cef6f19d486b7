/**
 * Sends one datagram to a Unix socket: the notifications of sd_notify(3). Node has no Unix datagram sockets, so this calls
 * the C library through koffi.
 *
 *   sockaddr_un := family:u16 (native)  path | NUL name      NUL: the name is in Linux's abstract namespace, written @name
 */
import { createRequire } from "node:module";
import { endianness } from "node:os";

/** A socket of datagrams. Disposing closes its descriptor. */
export interface NotifySocket extends Disposable {
  /** Returns undefined if the datagram was sent, else why not. It never waits: a full or missing socket takes none. */
  send(text: string): string | undefined;
}

const familyUnix = 1;
const typeDatagram = 2;
const closeOnExec = 0o2000000;
const dontWait = 0x40;
const noSignal = 0x4000;
const pathBytesMax = 108;

/** The address as bytes; undefined if it is not one of a Unix socket. */
export function socketAddress(address: string): Uint8Array | undefined {
  const path = Buffer.from(address.startsWith("@") ? `\0${address.slice(1)}` : address);
  const isValid = /^[/@]./.test(address) && path.length < pathBytesMax;
  if (!isValid) return undefined;
  // A path ends with a NUL; an abstract name has the length of the address.
  const end = address.startsWith("@") ? [] : [0];
  const family = endianness() === "LE" ? [familyUnix, 0] : [0, familyUnix];
  return Uint8Array.from([...family, ...path, ...end]);
}

/**
 * Opens a socket for datagrams to `address`.
 * @throws Error if the address is not valid, or if this system or its C library has no such sockets
 */
export function openNotifySocket(address: string): NotifySocket {
  const to = socketAddress(address);
  if (to === undefined) throw new Error(`NOTIFY_SOCKET must be a path or @name, not "${address}"`);
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi");
  const libc = koffi.load("libc.so.6");
  const socket = libc.func("int socket(int domain, int type, int protocol)");
  const sendto = libc.func(
    "long sendto(int fd, const void *bytes, size_t length, int flags, const void *to, uint32 toLength)",
  );
  const close = libc.func("int close(int fd)");
  const descriptor = Number(socket(familyUnix, typeDatagram | closeOnExec, 0));
  if (descriptor < 0) throw new Error(`socket failed with errno ${koffi.errno()}`);
  let isOpen = true;
  return {
    send(text) {
      if (!isOpen) return "the socket is closed";
      const bytes = Buffer.from(text);
      const sent = Number(sendto(descriptor, bytes, bytes.length, dontWait | noSignal, to, to.length));
      return sent >= 0 ? undefined : `sendto failed with errno ${koffi.errno()}`;
    },
    [Symbol.dispose]() {
      if (isOpen) close(descriptor);
      isOpen = false;
    },
  };
}

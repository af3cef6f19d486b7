/**
 * Which process has made a connection: what Linux tells in /proc about the sockets of this machine. So a proxy knows
 * from which node a connection comes, whatever is spoken on it, TLS included.
 *
 * Never: needs rights beyond those over one's own children.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The inode of the local socket with these ports on loopback, or undefined when it is gone. */
function inodeOf(localPort: number, remotePort: number): string | undefined {
  const local = `0100007F:${hex(localPort)}`;
  const remote = `0100007F:${hex(remotePort)}`;
  for (const line of readFileSync("/proc/net/tcp", "latin1").split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] === local && fields[2] === remote) return fields[9];
  }
  return undefined;
}

const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, "0");

/** The one of these processes that owns the connection from `localPort` to `remotePort` of 127.0.0.1, if any does. */
export function ownerOf(
  localPort: number,
  remotePort: number,
  candidates: Iterable<number>,
): number | undefined {
  const inode = inodeOf(localPort, remotePort);
  if (inode === undefined) return undefined;
  const link = `socket:[${inode}]`;
  for (const pid of candidates) if (holds(pid, link)) return pid;
  return undefined;
}

function holds(pid: number, link: string): boolean {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).some((name) => target(`${folder}/${name}`) === link);
  } catch {
    return false; // it has ended
  }
}

function target(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // closed meanwhile
  }
}

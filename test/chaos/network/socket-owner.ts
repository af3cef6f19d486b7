/**
 * Finds the process that made a connection, from Linux's /proc. So a proxy knows the node of a connection in any protocol,
 * also with TLS. It needs no rights beyond those over child processes.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The inode of the local socket with these ports on loopback; undefined if it is closed. */
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

/** Which of the candidate processes owns the connection from `localPort` to `remotePort` on 127.0.0.1. */
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
    return false; // The process has ended.
  }
}

function target(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // Closed meanwhile.
  }
}

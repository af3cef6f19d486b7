/**
 * Free ports of loopback for servers that restart. They are below the system's ephemeral ports, so that no outgoing
 * connection takes one while the server is down. Test files that run at the same time claim ports with one file per port, so
 * that no port is used twice.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [lowest, highest] = [12_000, 31_000];
const claims = join(tmpdir(), `tailrace-ports-${process.getuid?.() ?? ""}`);
const claimed = new Set<string>();
process.once("exit", () => {
  for (const claim of claimed) rmSync(claim, { force: true });
});

/** Resolves to a port that is free for TCP and UDP, and claimed while this process runs. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    // The default ops port of a node is 1000 above, so every second thousand is left out.
    if (Math.floor(port / 1_000) % 2 === 1 || !claim(port)) continue;
    const server = createServer();
    const datagrams = createSocket("udp4");
    try {
      server.listen(port, "127.0.0.1");
      datagrams.bind(port, "127.0.0.1");
      await Promise.all([once(server, "listening"), once(datagrams, "listening")]);
      return port;
    } catch {
      // In use: try another one.
    } finally {
      await new Promise((resolve) => server.close(resolve));
      await new Promise<void>((resolve) => datagrams.close(resolve));
    }
  }
  throw new Error("no port is free");
}

/** Returns false if a running process has claimed the port. */
function claim(port: number): boolean {
  mkdirSync(claims, { recursive: true });
  const file = join(claims, String(port));
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
  } catch {
    if (isClaimed(file)) return false;
    writeFileSync(file, String(process.pid));
  }
  claimed.add(file);
  return true;
}

function isClaimed(file: string): boolean {
  try {
    return process.kill(Number(readFileSync(file, "utf8")), 0);
  } catch {
    return false;
  }
}

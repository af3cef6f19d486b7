/**
 * A port of loopback for a server that will come and go: below those that the system hands out by itself, so that no
 * connection that somebody makes takes it while the server is away. Test files that run at the same time claim theirs by
 * a file for each, so that none is handed out twice while its server is yet to come.
 *
 * Never: holds it.
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

/** Free for TCP and UDP a moment ago, and nobody else's while this process lives. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    // The default ops port of a node is 1000 above: it must not be handed out.
    if (Math.floor(port / 1_000) % 2 === 1 || !claim(port)) continue;
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

/** False when a process that still lives has it. */
function claim(port: number): boolean {
  mkdirSync(claims, { recursive: true });
  const file = join(claims, String(port));
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
  } catch {
    if (isOfTheLiving(file)) return false;
    writeFileSync(file, String(process.pid));
  }
  claimed.add(file);
  return true;
}

function isOfTheLiving(file: string): boolean {
  try {
    return process.kill(Number(readFileSync(file, "utf8")), 0);
  } catch {
    return false;
  }
}

/**
 * Holds a data directory for one process: by flock where the C library can be called, else by a bound Unix socket.
 * Both end with the process, however it ends; the pid in the file is for people.
 *
 * Never: trusts a pid.
 */
import { closeSync, constants, ftruncateSync, openSync, rmSync, writeSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { Fault } from "../fault.ts";
import { native } from "../lib/native.ts";

/** Takes the lock; the answer lets it go. Throws Fault "locked" when another process holds it. */
export async function lockDirectory(directory: string): Promise<() => void> {
  const library = native();
  return library === undefined ? lockBySocket(directory) : lockByFile(directory, library.lock);
}

const locked = (directory: string): Fault =>
  new Fault("locked", { message: `${directory} is in use by another process` });

function lockByFile(directory: string, lock: (descriptor: number) => boolean): () => void {
  const descriptor = openSync(join(directory, "lock"), constants.O_RDWR | constants.O_CREAT, 0o644);
  try {
    if (!lock(descriptor)) throw locked(directory);
    ftruncateSync(descriptor);
    writeSync(descriptor, `${process.pid}\n`, 0);
  } catch (reason) {
    closeSync(descriptor);
    throw reason;
  }
  return () => closeSync(descriptor);
}

/** A socket that nobody answers was left behind by a process that is gone. */
export async function lockBySocket(directory: string): Promise<() => void> {
  const path = join(directory, "lock.socket");
  for (let attempt = 0; attempt < 2; attempt++) {
    const server = await listenAt(path);
    if (server !== undefined) {
      server.unref();
      return () => server.close();
    }
    if (await answers(path)) break;
    rmSync(path, { force: true });
  }
  throw locked(directory);
}

function listenAt(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen(path, () => resolve(server));
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/**
 * Locks a data directory for one process: flock on `<directory>/lock` through koffi or, without koffi, a Unix socket
 * bound in the directory. The system frees either when the process dies. The pid in the file is for people; the lock does
 * not depend on it.
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "../../fault.ts";
import { native } from "./native.ts";

/** Keeps the lock until it is disposed or the process ends. */
export interface DirectoryLock extends AsyncDisposable {
  release(): Promise<void>;
}

/**
 * Locks the directory, which must exist.
 * @throws Fault "locked" with the holder's pid if another process has the lock
 */
export async function lockDirectory(
  directory: string,
  useSocket = native() === undefined,
): Promise<DirectoryLock> {
  const path = join(directory, "lock");
  const release = useSocket ? await lockBySocket(directory, path) : lockByFlock(directory, path);
  return { release, [Symbol.asyncDispose]: release };
}

function lockByFlock(directory: string, path: string): () => Promise<void> {
  const descriptor = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
  try {
    if (native()?.lock(descriptor) !== true) throw locked(directory, path);
    notePid(() => {
      fs.ftruncateSync(descriptor);
      fs.writeSync(descriptor, `${process.pid}\n`, 0);
    });
  } catch (fault) {
    fs.closeSync(descriptor);
    throw fault;
  }
  let held = true;
  return async () => {
    if (held) fs.closeSync(descriptor);
    held = false;
  };
}

async function lockBySocket(directory: string, path: string): Promise<() => Promise<void>> {
  let address = join(fs.realpathSync(directory), "lock.socket");
  if (Buffer.byteLength(address) > 100) {
    // A socket's path has at most 107 bytes.
    const name = createHash("sha256").update(address).digest("hex").slice(0, 32);
    address = join(tmpdir(), `tailrace-${name}.sock`);
  }
  const server = net.createServer((socket) => socket.destroy());
  if (!(await listens(server, address))) {
    if (await answers(address)) throw locked(directory, path);
    fs.rmSync(address, { force: true });
    if (!(await listens(server, address))) throw locked(directory, path);
  }
  server.unref();
  notePid(() => fs.writeFileSync(path, `${process.pid}\n`, { mode: 0o600 }));
  return () => new Promise((resolve) => server.close(() => resolve()));
}

/** The lock does not need the pid, so a full disk is no error here. */
function notePid(write: () => void): void {
  try {
    write();
  } catch {
    // The message of the next process lacks the pid.
  }
}

function listens(server: net.Server, address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      if (error.code === "EADDRINUSE") resolve(false);
      else reject(error);
    };
    server.once("error", failed);
    server.listen(address, () => {
      server.off("error", failed);
      resolve(true);
    });
  });
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(address);
    const done = (there: boolean): void => {
      socket.destroy();
      resolve(there);
    };
    socket.once("connect", () => done(true));
    socket.once("error", () => done(false));
  });
}

function locked(directory: string, path: string): Fault {
  let pid = "";
  try {
    pid = fs.readFileSync(path, "utf8").trim();
  } catch {
    // The message lacks the pid.
  }
  return new Fault("locked", {
    message: `${directory} is in use${pid === "" ? "" : ` by process ${pid}`}`,
    facts: { directory, pid },
  });
}

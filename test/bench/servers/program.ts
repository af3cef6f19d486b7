/** A server program that a benchmark starts, and what it uses: processor time, memory, descriptors and disk. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { cpuSeconds, residentBytes } from "../load/server-process.ts";

export interface Program {
  readonly pid: number;
  /** The end of what the program wrote to standard error. */
  readonly errors: () => string;
  readonly hasExited: () => boolean;
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
}

export function startProgram(command: string, args: readonly string[]): Program {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors = `${errors}${chunk}`.slice(-2_000);
  });
  const exited = once(child, "exit");
  const endWithUs = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", endWithUs);
  return {
    pid: child.pid as number,
    errors: () => errors,
    hasExited: () => child.exitCode !== null || child.signalCode !== null,
    end: async (signal) => {
      child.kill(signal);
      await exited;
      process.off("exit", endWithUs);
    },
  };
}

/** Returns the path of a program that is on the PATH or in a folder where Go installs programs. */
export function findProgram(name: string): string | undefined {
  const { PATH = "", GOBIN = "", GOPATH = join(homedir(), "go") } = process.env;
  const folders = [
    ...PATH.split(delimiter),
    GOBIN,
    ...GOPATH.split(delimiter).map((path) => join(path, "bin")),
  ];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

interface Running {
  readonly program: Program;
  readonly directory: string;
}

export interface Usage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly descriptors: number;
  /** Bytes of the blocks on disk. */
  readonly diskBytes: number;
}

export function usageOf({ program: { pid }, directory }: Running): Usage {
  const blocks = execFileSync("du", ["--summarize", "--block-size=1", directory], { encoding: "utf8" });
  return {
    cpuSeconds: cpuSeconds(pid),
    residentBytes: residentBytes(pid),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    diskBytes: Number.parseInt(blocks, 10),
  };
}

/** Removes the files of a directory from the page cache of the system, without other files. */
export function dropFromPageCache(directory: string): void {
  const drop = ["dd", "if={}", "iflag=nocache", "count=0", "status=none", ";"];
  execFileSync("sync");
  execFileSync("find", [directory, "-type", "f", "-size", "+0", "-exec", ...drop]);
}

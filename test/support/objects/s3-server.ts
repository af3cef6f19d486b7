/** A real S3 server (versitygw) with one bucket, for tests; without the program, a stub in this process. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../process/free-port.ts";
import { requireProgram } from "../process/require-program.ts";
import { until } from "../until.ts";
import { StubS3 } from "./stub-s3.ts";

const bucket = "logs";
const credentials = { AWS_ACCESS_KEY_ID: "testkey", AWS_SECRET_ACCESS_KEY: "testsecret" } as const;

export interface S3Server extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  /** Of the server; undefined if it is in this process. */
  readonly pid: number | undefined;
  /** The variables of a client. */
  readonly environment: Readonly<Record<string, string>>;
}

export type ServerKind = "versitygw" | "stub";

/** The servers that a suite runs with: the stub stands in only where the program is missing. */
export const serverKinds: readonly ServerKind[] =
  requireProgram("versitygw").skip === undefined ? ["versitygw", "stub"] : ["stub"];
/** The best of them. */
const serverKind: ServerKind = serverKinds[0]!;

export async function openS3Server(kind: ServerKind = serverKind): Promise<S3Server> {
  if (kind === "stub") {
    const stub = await StubS3.open(bucket, credentials);
    return serverAt(stub.endpoint, undefined, () => stub[Symbol.asyncDispose]());
  }
  const directory = mkdtempSync(join(tmpdir(), "tailrace-s3-"));
  mkdirSync(join(directory, "data", bucket), { recursive: true });
  // Extended attributes are not there on every file system.
  mkdirSync(join(directory, "sidecar"));
  const port = await freePort();
  const child = spawn(
    "versitygw",
    [
      ...["--access", credentials.AWS_ACCESS_KEY_ID, "--secret", credentials.AWS_SECRET_ACCESS_KEY],
      ...["--port", `127.0.0.1:${port}`, "--quiet", "--keep-alive"],
      ...["posix", "--sidecar", join(directory, "sidecar"), join(directory, "data")],
    ],
    { stdio: ["ignore", "ignore", "pipe"], cwd: directory },
  );
  let said = "";
  child.stderr.on("data", (text: Buffer) => {
    said += text.toString();
  });
  const exited = once(child, "exit");
  const endpoint = `http://127.0.0.1:${port}`;
  await until("the S3 server answers", async () => {
    if (child.exitCode !== null) throw new Error(`versitygw ended: ${said}`);
    return await fetch(endpoint).then(
      () => true,
      () => false,
    );
  });
  return serverAt(endpoint, child.pid, async () => {
    child.kill("SIGKILL");
    await exited;
    rmSync(directory, { recursive: true, force: true });
  });
}

const serverAt = (endpoint: string, pid: number | undefined, close: () => Promise<void>): S3Server => ({
  ...{ endpoint, pid },
  environment: { ...credentials, AWS_REGION: "us-east-1", AWS_ENDPOINT_URL_S3: endpoint },
  [Symbol.asyncDispose]: close,
});

/**
 * Appends records from another process: curl for a single record, otherwise a Node process that appends random values by
 * ProduceBatch at a given rate and prints what it appended.
 */
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Returns a unique value. */
export const randomWord = (): string => randomBytes(9).toString("hex");

/** Appends a value with curl over HTTP. Returns its offset. */
export async function curl(origin: string, value: string, ...tls: readonly string[]): Promise<number> {
  const body = JSON.stringify({ record: { value: Buffer.from(value).toString("base64") } });
  const { stdout } = await run("curl", ["-sS", ...tls, "-d", body, `${origin}/`]);
  return (JSON.parse(stdout) as { offset: number }).offset;
}

/** Runs a command line that the page shows. */
export async function shell(line: string): Promise<string> {
  const { stdout } = await run("/bin/sh", ["-c", line], { timeout: 60_000 });
  return stdout;
}

/** Plain JavaScript for the other process, so that it starts fast. */
const source = `
const [origin, count, rate] = [process.argv[1], Number(process.argv[2]), Number(process.argv[3])];
const { randomBytes } = require("node:crypto");
const begun = performance.now();
const values = [];
(async () => {
  while (values.length < count) {
    const due = rate === 0 ? count : Math.min(count, Math.ceil(((performance.now() - begun) / 1000) * rate));
    const fresh = Math.min(500, due - values.length);
    if (fresh <= 0) { await new Promise((resolve) => setTimeout(resolve, 10)); continue; }
    const words = Array.from({ length: fresh }, () => randomBytes(30).toString("hex"));
    const answer = await fetch(origin + "/log.v1.Log/ProduceBatch", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ records: words.map((word) => ({ value: Buffer.from(word).toString("base64") })) }),
    }).catch(() => undefined);
    if (answer === undefined || !answer.ok) { await new Promise((resolve) => setTimeout(resolve, 50)); continue; }
    values.push(...words);
  }
  process.stdout.write(values.at(-1));
})();
`;

/** Appends `count` random values at `rate` per second (0: as fast as possible). Resolves with the last value. */
export async function produce(origin: string, count: number, rate: number): Promise<string> {
  const child = spawn(process.execPath, ["-e", source, origin, String(count), String(rate)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let last = "";
  child.stdout.on("data", (chunk: Buffer) => {
    last += chunk.toString();
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`the producer ended with ${code}`);
  return last;
}

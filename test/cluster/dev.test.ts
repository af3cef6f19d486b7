import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { test } from "node:test";
import { freePort } from "../support/process/free-port.ts";
import { startCommand, tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";

/** Returns the first of `count` consecutive ports that are free now. */
async function freePorts(count: number): Promise<number> {
  for (;;) {
    const base = await freePort();
    const taken = await Promise.all(
      Array.from({ length: count - 1 }, async (_, at) => {
        const server = createServer().listen(base + at + 1, "127.0.0.1");
        const free = await once(server, "listening").then(
          () => true,
          () => false,
        );
        await new Promise((resolve) => server.close(resolve));
        return !free;
      }),
    );
    if (base + count < 65_000 && !taken.includes(true)) return base;
  }
}

test("dev starts a cluster, prints commands to try, and leaves no process behind", async (t) => {
  const home = scratch(t);
  const port = await freePorts(3);
  for (const more of [["--plaintext"], []]) {
    const dir = join(home, more.join() || "tls");
    const child = startCommand(["dev", "--base-port", String(port), "--dir", dir, ...more]);
    t.after(() => child.kill("SIGKILL"));
    const closed = once(child, "close") as Promise<[number | null]>;
    let out = "";
    let err = "";
    let over = false;
    void closed.then(() => {
      over = true;
    });
    child.stdout?.on("data", (chunk: Buffer) => {
      out += chunk.toString("utf8");
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      err += chunk.toString("utf8");
    });
    const heard = async (stream: Readable | null, what: () => boolean): Promise<void> => {
      while (!what()) {
        assert.ok(!over, `dev ended: ${out}${err}`);
        await Promise.race([once(stream!, "data"), closed]);
      }
    };
    await heard(child.stdout, () => out.includes("Ctrl-C"));
    assert.match(out, new RegExp(`^dashboard {2}https?://localhost:${port}/ui/\n`));
    const ca = join(dir, "certs/ca.pem");
    const tls = existsSync(ca)
      ? [
          ...["--tls-ca-file", ca, "--tls-cert-file", join(dir, "certs/root-client.pem")],
          ...["--tls-key-file", join(dir, "certs/root-client-key.pem")],
        ]
      : [];
    assert.equal(tls.length === 0, more.length > 0);
    const at = (n: number): string[] => ["--addr", `localhost:${port + n}`, ...tls];
    const produced = await tailrace(["produce", ...at(0)], { input: "hello\n" });
    assert.deepEqual([produced.status, produced.out], [0, '{"offset":0}\n'], produced.err);
    const consumed = await tailrace(["consume", "--from", "0", "--format", "%o %v", ...at(2)]);
    assert.match(consumed.out, /^0 hello/, consumed.err);
    const created = await tailrace(["logs", "create", "orders/eu", ...at(1)]);
    assert.equal(created.status, 0, created.err);
    assert.equal((await tailrace(["transfer", ...at(1)])).status, 0);
    const pid = /^n3 .* pid=(\d+) /m.exec(out)?.[1];
    process.kill(Number(pid), "SIGKILL");
    await heard(child.stderr, () => err.includes("the others continue"));
    const without = await tailrace(["produce", ...at(0)], { input: "still\n" });
    assert.deepEqual([without.status, without.out], [0, '{"offset":1}\n'], without.err);
    child.kill("SIGINT");
    assert.deepEqual((await closed)[0], 0);
    // Checked by process id: another test may listen on a port that is free again.
    const pids = [...out.matchAll(/^n\d .* pid=(\d+) /gm)].map(([, found]) => Number(found));
    assert.equal(pids.length, 3);
    for (const gone of pids) assert.throws(() => process.kill(gone, 0), { code: "ESRCH" });
  }
});

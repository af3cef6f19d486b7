import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { test } from "node:test";
import { freePort } from "../support/process/free-port.ts";
import { ended, startCommand, tailrace } from "../support/process/process.ts";
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
    assert.match(out, new RegExp(`^dashboard {2}https?://localhost:${port}/ui/`));
    for (const line of out.split("\n")) assert.ok(line.length < 200, line);
    const profile = /^commands {3}npx tailrace servers --profile (\S+)$/m.exec(out)?.[1] ?? "";
    const listed = await tailrace(["servers", "--profile", profile, "--json"]);
    assert.equal(listed.out.trim().split("\n").length, 3, listed.err);
    const shell = async (name: string): Promise<string> => {
      const command = new RegExp(`^${name} +(curl .*)$`, "m").exec(out)?.[1] ?? "";
      return (await ended(spawn("sh", ["-c", command]))).out;
    };
    assert.equal(await shell("append"), '{"offset":0}\n');
    assert.match(await shell("read"), /^\{"offset":0,"timestamp_ms":\d+,"text":"hello"\}\n$/);
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
    assert.deepEqual([produced.status, produced.out], [0, '{"offset":1}\n'], produced.err);
    const consumed = await tailrace(["consume", "--from", "1", "--format", "%o %v", ...at(2)]);
    assert.match(consumed.out, /^1 hello/, consumed.err);
    const created = await tailrace(["logs", "create", "orders/eu", ...at(1)]);
    assert.equal(created.status, 0, created.err);
    assert.equal((await tailrace(["transfer", ...at(1)])).status, 0);
    const pid = /^n3 .* pid=(\d+)$/m.exec(out)?.[1];
    process.kill(Number(pid), "SIGKILL");
    await heard(child.stderr, () => err.includes("the others continue"));
    assert.ok(
      err.split("\n").every((line) => line.length < 300),
      err,
    );
    const restart = /^npx tailrace serve (--config-file \S*n3\.yaml)$/m.exec(err)?.[1] ?? err;
    const again = startCommand(["serve", ...restart.split(" ")]);
    t.after(() => again.kill("SIGKILL"));
    await Promise.race([once(again.stdout!, "data"), once(again, "close")]);
    assert.equal(again.exitCode, null, "it runs again");
    again.kill("SIGTERM");
    await once(again, "close");
    const without = await tailrace(["produce", ...at(0)], { input: "still\n" });
    assert.deepEqual([without.status, without.out], [0, '{"offset":2}\n'], without.err);
    const byOther = /^by n2 {6}npx tailrace servers --profile (\S+)$/m.exec(out)?.[1] ?? "";
    const left = await tailrace(["servers", "--profile", byOther]);
    assert.match(left.out, /^n3 .*/m, left.err);
    child.kill("SIGINT");
    assert.deepEqual((await closed)[0], 0);
    // Checked by process id: another test may listen on a port that is free again.
    const pids = [...out.matchAll(/^n\d .* pid=(\d+)$/gm)].map(([, found]) => Number(found));
    assert.equal(pids.length, 3);
    for (const gone of pids) assert.throws(() => process.kill(gone, 0), { code: "ESRCH" });
  }
});

test("dev says why its node cannot start", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  t.after(() => taken.close());
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const dir = join(scratch(t), "d");
  const dev = ["dev", "--plaintext", "--nodes", "1", "--base-port", String(port), "--dir", dir];
  const { status, err } = await tailrace(dev);
  assert.equal(status, 1);
  assert.match(err, new RegExp(`n1 ended with 1, see .*\\n.* 127.0.0.1:${port} is in use`));
});

/**
 * The image: built by buildah from the Dockerfile, with the commands of deploy/README.md, and run in a read-only root as a user
 * without rights. Where no registry of images is reached, images that are made from the packages of Debian stand for the two
 * that the Dockerfile names. It needs root.
 */
import assert from "node:assert/strict";
import { chmodSync, chownSync, globSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { imageConfig, instructions } from "../support/deploy/dockerfile.ts";
import { factIn } from "../support/process/process.ts";
import { requireProgram } from "../support/process/require-program.ts";
import { scratch } from "../support/scratch.ts";
import { deployFile } from "../support/telemetry/deploy-files.ts";
import { until } from "../support/until.ts";
import { Buildah } from "./image/buildah.ts";
import { lacksMirror } from "./image/debian.ts";
import { Container } from "./kubernetes/container.ts";
import { requireNamespaces } from "./kubernetes/namespaces.ts";
import { lacksRegistry } from "./registry.ts";

const needed =
  [requireProgram("buildah"), requireProgram("debootstrap"), requireProgram("ip"), requireNamespaces()].find(
    ({ skip }) => skip,
  ) ?? {};
const bytesMax = 200e6;
const readme = readFileSync(deployFile("README.md"), "utf8");

/** The words of the command in deploy/README.md that begins so, without its beginning. */
function command(begin: string): string[] {
  const line = readme.split("\n").find((text) => text.startsWith(`${begin} `));
  assert.ok(line, begin);
  return line.slice(begin.length + 1).split(" ");
}

test("the image is small, and a node in it serves, is healthy and stops in order", {
  timeout: 1_800_000,
  ...needed,
}, async (t) => {
  const directory = scratch(t);
  if (await lacksRegistry(t, directory)) return;
  if (lacksMirror(t)) return;
  // Unmounts before the directory is removed.
  using buildah = new Buildah(directory);
  const bases = Object.fromEntries(
    instructions()
      .filter(({ keyword, text }) => keyword === "ARG" && /_IMAGE=/.test(text))
      .map(({ text }) => text.split("=") as [string, string]),
  );
  const built = await buildah.build(command("docker build"), bases);
  assert.equal(built.status, 0, built.err.slice(-4_000));
  const image = buildah.mount("tailrace:0.1.0");
  await t.test("its size", (s) => isSmall(s, image));
  await t.test("its contents", () => hasNoShell(image));
  await t.test("a node", (s) => serves(s, image, directory));
});

function isSmall(t: TestContext, image: string): void {
  const files = globSync("**/*", { cwd: image }).map((name) => lstatSync(join(image, name)));
  const bytes = files.filter((file) => file.isFile()).reduce((sum, file) => sum + file.size, 0);
  t.diagnostic(`${(bytes / 1e6).toFixed(1)} MB`);
  assert.ok(bytes <= bytesMax, `${bytes} bytes, at most ${bytesMax}`);
}

function hasNoShell(image: string): void {
  const programs = globSync("{bin,sbin,usr/bin,usr/sbin,usr/local/bin}/*", { cwd: image }).map((name) =>
    name.split("/").at(-1),
  );
  assert.ok(programs.includes("env"));
  for (const name of ["sh", "bash", "apt-get", "dpkg", "npm"]) assert.ok(!programs.includes(name), name);
  assert.deepEqual(globSync("src/**", { cwd: image }), []);
}

async function serves(t: TestContext, image: string, directory: string): Promise<void> {
  const { user, path, entrypoint, directory: home } = imageConfig();
  const [uid = 0, gid = 0] = user.split(":").map(Number);
  const volume = join(directory, "volume");
  mkdirSync(volume, { mode: 0o700 });
  chownSync(volume, uid, gid);
  const hostsFile = join(directory, "hosts");
  writeFileSync(hostsFile, "127.0.0.1 localhost\n");
  chmodSync(hostsFile, 0o644);
  const empty = join(directory, "root");
  mkdirSync(empty);
  const container = new Container({
    root: empty,
    image,
    script: join(directory, "script"),
    hostsFile,
    hostName: "tailrace",
    user: uid,
    group: gid,
    volumeGroup: gid,
    readOnlyRoot: true,
    mounts: [{ from: volume, at: "/data", readOnly: false }],
    variables: { PATH: path },
    directory: home,
    command: [...entrypoint, ...serveWords()],
  });
  t.after(() => container.kill("SIGKILL"));
  const ready = await until("the node is ready", () => /^tailrace ready .*$/m.exec(container.log)?.[0], {
    explain: () => container.log,
  });
  assert.equal(factIn(ready, "data"), "/data/data");
  const health = instructions().findLast(({ keyword }) => keyword === "HEALTHCHECK")?.text ?? "";
  const check = JSON.parse(health.slice(health.indexOf("["))) as string[];
  const inside = async (words: readonly string[]) => {
    const done = await container.execute(words);
    return [done.status, done.err];
  };
  assert.deepEqual(await inside(check), [0, ""]);
  assert.deepEqual(await inside(command("docker exec tailrace")), [0, ""]);
  const posted = await container.execute(["tailrace", "produce", "/etc/hostname"]);
  assert.deepEqual([posted.out, posted.status], ['{"offset":0}\n', 0], posted.err);
  for (const page of ["/ui/", "/docs/"]) {
    const ask = `fetch("http://localhost:8080${page}").then(({ status }) => console.log(status))`;
    const asked = await container.execute(["node", "-e", ask]);
    assert.deepEqual([asked.out, asked.err], ["200\n", ""], page);
  }
  const writes = await container.execute(["node", "-e", "fs.writeFileSync('/usr/x', '')"]);
  assert.match(writes.err, /EROFS|EACCES/);
  const who = await container.execute(["node", "-p", "process.getuid() + ':' + process.getgid()"]);
  assert.equal(who.out, `${user}\n`);
  await container.kill("SIGTERM");
  const { status, signal } = await container.ended;
  assert.deepEqual([status, signal], [0, null], container.log);
}

/** The arguments of `serve` in the README, without the ports of this machine. */
function serveWords(): string[] {
  const words = command("docker run");
  return words.slice(words.indexOf("serve"));
}

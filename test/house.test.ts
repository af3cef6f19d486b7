/**
 * The source rules, checked on the source itself: imports go to lower modules and use their mod.ts; only I/O files use
 * disk, sockets, the process, clocks and randomness; a core has no async code; links and file names in Markdown resolve;
 * injected bugs apply to the source, and name tests that exist.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parsePatch, patched } from "./support/bug-patch.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const sources = globSync("src/**/*.ts", { cwd: root, exclude: (name) => name.includes("src/gen") })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => !file.startsWith("src/gen/"))
  .sort();

/** The modules that each module may import, besides itself and the base. */
const base = ["lib", "gen", "types.ts", "fault.ts", "fault-facts.ts"];
const imports: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  store: [],
  memory: [],
  access: [],
  tokens: ["access"],
  raft: [],
  membership: [],
  telemetry: [],
  client: [],
  rows: ["store"],
  log: ["rows", "store"],
  filter: ["log"],
  http2: ["memory"],
  replication: ["log", "rows", "raft", "store"],
  objects: [],
  backup: ["objects", "replication", "log", "rows", "store"],
  peer: ["replication", "log", "raft", "access"],
  api: ["http2", "memory", "filter", "log", "membership", "access", "tokens"],
  server: ["api", "http2", "memory", "access"],
  agent: [
    ...["server", "api", "http2", "memory", "peer", "backup", "objects", "replication", "log", "raft"],
    ...["membership", "access", "tokens", "rows", "store", "telemetry", "client"],
  ],
  cli: [
    "agent",
    "server",
    "api",
    "http2",
    "client",
    "telemetry",
    "backup",
    "objects",
    "replication",
    "log",
    "membership",
    "rows",
    "store",
    "access",
    "tokens",
  ],
};

/** The only files that may do I/O. A trailing slash means all files of a folder. */
const ioFiles = [
  "src/lib/time/clock.ts",
  "src/lib/disk/system-disk.ts",
  "src/lib/disk/mapped-file.ts",
  "src/lib/disk/directory-lock.ts",
  "src/lib/file-watch/",
  "src/store/",
  "src/rows/sqlite/",
  "src/membership/transport/",
  "src/objects/",
  "src/backup/",
  "src/server/",
  "src/agent/",
  "src/cli/",
  "src/telemetry/",
];

const outside =
  /^node:(fs|net|tls|dgram|http|http2|https|child_process|worker_threads|cluster|os|dns|sqlite)(\/|$)/;
/** Modules that may use sockets and servers, but not disk, process or randomness. */
const socketModules = ["api", "client", "http2", "memory"];
const socketPackages = /^node:(net|tls|http|http2|https)$/;
const bannedCalls: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\(|new Date\(\)/, "take the time from a Clock (src/lib/time/clock.ts)"],
  [/\bperformance\.now\(/, "take the time from a Clock (src/lib/time/clock.ts)"],
  [/\bset(Timeout|Interval|Immediate)\(/, "take timers from a Clock (src/lib/time/clock.ts)"],
  [/\bMath\.random\(/, "draw from a Prng parameter (src/lib/prng.ts)"],
  [/\brandom(Bytes|UUID|FillSync|Int)\(/, "take randomness as a parameter"],
  [/\bprocess\.(env|exit|on|kill|argv|cwd)\b/, "leave the process to the agent and the command line"],
];

const isIoFile = (file: string): boolean =>
  ioFiles.some((entry) => (entry.endsWith("/") ? file.startsWith(entry) : file === entry));
const moduleOf = (file: string): string => file.slice("src/".length).split("/")[0] as string;
const codeOf = (file: string): string =>
  read(file)
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/^\s*\/\/.*$/gm, "");
const importsOf = (code: string): string[] =>
  [...code.matchAll(/(?:from|import)\s*\(?\s*["']([^"']+)["']/g)].map((found) => found[1] as string);

test("imports go to lower modules and use their mod.ts", () => {
  const wrong: string[] = [];
  for (const file of sources) {
    const module = moduleOf(file);
    for (const target of importsOf(codeOf(file)).filter((name) => name.startsWith("."))) {
      const path = posix.normalize(posix.join(posix.dirname(file), target));
      const imported = moduleOf(path);
      if (imported === module || base.includes(imported)) continue;
      if (!module.endsWith(".ts") && !(imports[module] ?? []).includes(imported)) {
        wrong.push(
          `${file} imports ${path}: ${module} may import ${[...base, ...(imports[module] ?? [])].join(", ")}`,
        );
        // The command line imports single files, so that a command loads only what it needs.
      } else if (!path.endsWith("/mod.ts") && module !== "cli") {
        wrong.push(`${file} imports ${path}: import from src/${imported}/mod.ts`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

/** Wall-clock times that are stored, shown or compared with a certificate, and the readings for clock-trust.ts. */
const wallClockReaders = [
  "src/agent/cluster/open-cluster.ts",
  "src/agent/tokens/ticket-desk.ts",
  "src/agent/tokens/token-admin.ts",
  "src/tokens/token-verifier.ts",
  "src/tokens/sessions/sessions.ts",
  "src/api/http/login/provider-login.ts",
  "src/api/http/login/login-routes.ts",
  "src/backup/bucket/write-backup.ts",
  "src/objects/directory/directory-store.ts",
  "src/objects/s3/s3-connection.ts",
  "src/objects/s3/s3-credentials.ts",
  "src/server/tls/certificate-validity.ts",
  "src/cli/commands/storage/recover.ts",
  "src/cli/doctor/certificate-checks.ts",
  "src/cli/doctor/read-ops.ts",
  "src/cli/commands/cluster/token.ts",
  "src/cli/records/read-records.ts",
  "src/cli/tls-flags.ts",
  "src/replication/time/log-time.ts",
  "src/peer/peer-network.ts",
  "src/api/http/http-date.ts",
  "src/server/http/direct/head-ends.ts",
  "src/api/http/durable-streams/read-stream.ts",
  "src/api/http/durable-streams/stream-events.ts",
  "src/api/methods/watch.ts",
  "src/telemetry/debug-files.ts",
  "src/telemetry/otel-metrics.ts",
];
/** Files that read the machine's clock: for the age of certificates and durations of the process. */
const clockReaders = [
  "src/lib/time/clock.ts",
  "src/cli/certs/files.ts",
  "src/cli/commands/node/serve.ts",
  "src/telemetry/client-interceptor.ts",
  "src/telemetry/otel-tracer.ts",
  "web/src/io/timing.ts",
];

test("the wall clock is read only for times that are stored or shown; waits use the monotonic clock", () => {
  const pages = globSync("web/src/**/*.{ts,tsx}", { cwd: root }).map((file) => file.replaceAll("\\", "/"));
  const wrong: string[] = [];
  for (const file of [...sources, ...pages]) {
    const code = codeOf(file);
    if (
      !clockReaders.includes(file) &&
      /\bDate\.now\b|new Date\(\)|\bperformance\.now\(|\bperformance\.timeOrigin\b/.test(code)
    )
      wrong.push(`${file} reads the machine's clock: take the time from a Clock (src/lib/time/clock.ts)`);
    if (!wallClockReaders.includes(file) && /\.wallMs\(\)/.test(code))
      wrong.push(`${file} reads the wall clock: waits and deadlines use monotonicMs()`);
  }
  assert.deepEqual(wrong, []);
});

test("only I/O files use disk, sockets, the process, clocks and randomness", () => {
  const wrong: string[] = [];
  for (const file of sources.filter((name) => !isIoFile(name))) {
    const code = codeOf(file);
    for (const target of importsOf(code).filter((name) => outside.test(name))) {
      if (socketModules.includes(moduleOf(file)) && socketPackages.test(target)) continue;
      wrong.push(`${file} imports ${target}: only I/O files may; use an interface of src/lib`);
    }
    for (const [call, better] of bannedCalls) {
      if (call.test(code)) wrong.push(`${file} has ${call.exec(code)?.[0]}…: ${better}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("a core has no async code", () => {
  const wrong = sources
    .filter((file) => /\/(core|swim|serf)\//.test(file))
    .filter((file) => /\b(async|await|Promise)\b/.test(codeOf(file)))
    .map((file) => `${file}: a core is synchronous; let the driver wait`);
  assert.deepEqual(wrong, []);
});

test("every source file begins with a comment that describes it", () => {
  const wrong = sources.filter((file) => !/^(#!.*\n)?\/\*\*/.test(read(file)));
  assert.deepEqual(wrong, []);
});

const pages = globSync("{*.md,docs/*.md,src/**/*.md,test/**/*.md,web/*.md,certs/*.md,deploy/**/*.md}", {
  cwd: root,
});

test("links in Markdown resolve", () => {
  const wrong: string[] = [];
  for (const page of pages) {
    for (const [, target] of read(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (target === undefined || /^[a-z]+:/.test(target)) continue;
      if (!existsSync(join(root, dirname(page), target))) wrong.push(`${page} links to ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** Names in Markdown that are examples, and files of a data directory or of an output. */
const exampleNames = ["src/a/b.ts", "test/unit/a/b.test.ts"];

test("files that Markdown names with a path exist", () => {
  const files = globSync("{.ci,certs,deploy,proto,src,test,web}/**/*.*", {
    cwd: root,
    exclude: (name) => /(^|\/)(node_modules|dist)$/.test(name.replaceAll("\\", "/")),
  }).map((file) => `/${file.replaceAll("\\", "/")}`);
  const wrong: string[] = [];
  for (const page of pages) {
    for (const [, name = ""] of read(page).matchAll(
      /`([\w@.*-]+(?:\/[\w@.*-]+)+\.(?:[cm]?[jt]s|tsx|md|proto|sh))`/g,
    )) {
      // A page names a file from its own folder, its module, src or the root: the end of the path decides.
      const path = new RegExp(`/${name.replaceAll(".", "\\.").replaceAll("*", "[^/]*")}$`);
      if (!exampleNames.includes(name) && !files.some((file) => path.test(file)))
        wrong.push(`${page} names ${name}, which does not exist`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** Commits after this one are checked. Without it, in a shallow clone or an archive, there is nothing to check. */
const firstChecked = "f67558984af37fe208309ae2fd3db9a32c1871e4";

test("the subject of a commit names its module and has at most 72 characters", () => {
  let subjects: string[];
  try {
    subjects = execFileSync("git", ["log", "--no-merges", "--format=%s", `${firstChecked}..HEAD`], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).split("\n");
  } catch {
    return;
  }
  const wrong = subjects.filter(
    (subject) => subject !== "" && (subject.length > 72 || !/^[^:]+: /.test(subject)),
  );
  assert.deepEqual(wrong, []);
});

test("commands that Markdown names exist", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const wrong: string[] = [];
  for (const page of pages) {
    for (const [command, name = ""] of read(page).matchAll(/\bnpm run ([\w:]+)/g)) {
      if (!(name in scripts)) wrong.push(`${page} names ${command}, which is not a script`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("every injected bug applies to the source", () => {
  const wrong: string[] = [];
  for (const patch of globSync("test/**/*.patch", { cwd: root })) {
    for (const [file, hunks] of parsePatch(read(patch))) {
      try {
        patched(read(file), hunks);
      } catch (reason) {
        wrong.push(`${patch} does not apply to ${file}: ${reason}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test("every patch of a defect of the book, or of a rule of named logs, is in its list", () => {
  const missing: string[] = [];
  for (const [folder, page] of [
    ["defects", "DEFECTS.md"],
    ["defects/logs", "NAMED-LOGS.md"],
  ] as const) {
    const list = read(`test/${page}`);
    for (const patch of globSync(`${folder}/*.patch`, { cwd: join(root, "test") }))
      if (!list.includes(`(${patch})`)) missing.push(`${page} lacks ${patch}`);
  }
  assert.deepEqual(missing, []);
});

test("every injected bug that is to be found by one test names one that exists", () => {
  const wrong: string[] = [];
  for (const patch of globSync(["test/defects/**/*.patch", "test/unit/**/*.patch"], { cwd: root })) {
    const [about = ""] = read(patch).split("\n");
    const { file = "", title } = /^(?<file>\S+?)(?: > (?<title>[^:]+))?: ./.exec(about)?.groups ?? {};
    if (!file.endsWith(".test.ts") || !existsSync(join(root, file)))
      wrong.push(`${patch} names no file of tests`);
    else if (title !== undefined && !titlesOf(file).some((pattern) => pattern.test(title)))
      wrong.push(`${patch} names a test that is not in ${file}: ${title}`);
  }
  assert.deepEqual(wrong, []);
});

/** Matches the titles of the tests in a file up to a colon, which is how patches name them. */
function titlesOf(file: string): RegExp[] {
  const titles = [...read(file).matchAll(/\b(?:test|describe|inEachProtocol)\(\s*(["`])(?<title>.*?)\1/g)];
  return titles.map(({ groups }) => {
    const [begins = ""] = groups!["title"]!.split(": ");
    const pieces = begins.split(/\$\{.*?\}/).map(RegExp.escape);
    return new RegExp(`^${pieces.join(".+")}$`);
  });
}

test("the lockfile names no registry and has the packages of every platform", () => {
  const lock = JSON.parse(read("package-lock.json")) as {
    packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>;
  };
  const wrong: string[] = [];
  for (const [name, entry] of Object.entries(lock.packages)) {
    if (entry.resolved !== undefined) wrong.push(`${name} is resolved to an address`);
    for (const optional of Object.keys(entry.optionalDependencies ?? {})) {
      const nested = `${name}/node_modules/${optional}`;
      if (!(nested in lock.packages) && !(`node_modules/${optional}` in lock.packages)) {
        wrong.push(`${name} lacks its optional ${optional}: npm ci will refuse this lockfile`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test("dependencies are pinned to exact versions, and peers allow the patches of the version that is tested", () => {
  const manifest = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
  const kinds = ["dependencies", "devDependencies", "optionalDependencies"];
  for (const [name, range] of Object.entries(manifest["peerDependencies"] ?? {}))
    assert.equal(range, `~${manifest["devDependencies"]?.[name]}`, name);
  assert.deepEqual(
    kinds
      .flatMap((kind) => Object.entries(manifest[kind] ?? {}))
      .filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version)),
    [],
  );
});

test("the command is executable, so that npx can run it", () => {
  accessSync(join(root, "src/cli/bin.cjs"), constants.X_OK);
});

test("no file refers to a path above the repository", () => {
  const wrong = globSync("{src,test,web,proto,certs}/**/*.{ts,tsx,js,mjs,cjs,md,json,txt}", { cwd: root })
    .filter((file) => !file.includes("node_modules") && !file.includes("transcript/data"))
    .filter((file) => {
      const up = "../".repeat(relative(root, join(root, dirname(file))).split("/").length);
      return read(file).includes(`"${up}../`);
    });
  assert.deepEqual(wrong, []);
});

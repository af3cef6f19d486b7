/**
 * Runs the stages of `npm test`, some in parallel, and stops after the first group with a failure.
 *
 *   node test/run.mjs                   every stage but the long ones
 *   node test/run.mjs --check           types, lint, house and unit
 *   node test/run.mjs --long            the long stage
 *   node test/run.mjs types unit        these stages, one after the other
 *   node test/run.mjs unit raft/core    the test files of the stage whose path contains "raft/core"
 *   node test/run.mjs unit fault-of --test-name-pattern=written
 *                                       options are passed to node --test
 *
 * The tests are TypeScript, whose types Node removes when it loads a file. Node's compile cache is in node_modules/.cache.
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const bin = (name) => join(root, "node_modules/.bin", name);
/**
 * The tests of a folder, with at most `atOnce` processes at a time. Without `shards` each file has its own process. With
 * `shards` that many processes share the files, except those of `alone`: a process loads the sources once, which takes longer
 * than many a file does.
 */
const suite = (folder, atOnce, shards, alone = []) => ({
  files: `test/${folder}/**/*.test.ts`,
  atOnce,
  shards,
  alone: alone.map((name) => `test/${folder}/${name}.test.ts`),
});

/** Files of `wire` that measure their process, change it for all tests in it, or have a hook for each test in it. */
const wireAlone = [
  ...["api/abort", "api/observe", "api/request-work"],
  ...["client/command-line", "interop/grpc-web"],
];

/** Files of `unit` that compute for seconds: they are the stage `models`, so that `npm run check` takes less than a minute. */
const models = [
  ...["access/permission-tree", "access/rules", "client/consume/tail", "client/produce/producer"],
  ...["log/append/deficit-round-robin", "log/crash-model", "log/kill", "log/named-crash-model"],
  ...["log/read/logs-tail", "log/rows/background-faults", "log/rows/base-download", "log/rows/owner-usage"],
  ...["log/segment/damage", "log/state/committed-rows", "log/state/log-table", "objects/s3/s3-store"],
  ...["replication/forwarding", "replication/maintenance", "rows/sqlite/damage", "rows/sqlite/kill"],
  ...["store/conversion", "store/state-database"],
].map((name) => `test/unit/${name}.test.ts`);

/** Stage name → a command, several commands, or a folder of tests. */
const stages = {
  types: [bin("tsc"), "--pretty"],
  "types-web": [bin("tsc"), "--pretty", "-p", "web/tsconfig.json"],
  "types-browser": [bin("tsc"), "--pretty", "-p", "test/browser/tsconfig.json"],
  lint: {
    commands: [
      [bin("biome"), "check", "--error-on-warnings", "."],
      [bin("knip"), "--no-progress"],
      [bin("knip"), "--no-progress", "--production"],
    ],
  },
  house: { files: "test/*.test.ts", atOnce: 2 },
  // Programs that tests start need a third less time to start from dist/ than from the sources.
  build: {
    commands: [
      [process.execPath, "src/build.mjs", "--if-stale"],
      [process.execPath, "web/handbook/build.mjs"],
    ],
  },
  // With a filter, `unit` finds those of `models` too.
  unit: { ...suite("unit", 3, 9), except: models },
  models: { ...suite("unit", 2, 6), only: models },
  contract: suite("contract", 2),
  transcript: suite("transcript", 2),
  sim: suite("sim", 1),
  wire: suite("wire", 2, 8, wireAlone),
  browser: suite("browser", 1),
  cluster: suite("cluster", 2),
  long: suite("long", 2),
};
const checks = [["types"], ["types-web"], ["types-browser"], ["lint"], ["house"]];
/**
 * Groups run one after the other. The tracks of a group run in parallel, the stages of a track one after the other. Chosen
 * for two cores: the tracks of the last group take about as long as each other.
 */
const groups = [
  [...checks, ["build"]],
  [["unit"], ["transcript"]],
  [["cluster", "models", "sim"], ["wire"], ["browser", "contract"]],
];

const args = process.argv.slice(2).filter((arg) => arg !== "--long" && arg !== "--check");
const selected = args.filter((arg) => arg in stages);
const options = args.filter((arg) => arg.startsWith("-"));
const filters = args.filter((arg) => !selected.includes(arg) && !options.includes(arg));
if (selected.length === 0 && args.length > 0) {
  console.error(`no stage "${args[0]}"; the stages are ${Object.keys(stages).join(", ")}`);
  process.exit(1);
}
const started = Date.now();
for (const tracks of chosenGroups()) {
  const result = await Promise.all(tracks.map((names) => runInTurn(names, tracks.length > 1)));
  if (!result.every(Boolean)) process.exit(1);
}
console.log(`\nall ok in ${secondsSince(started)} s`);

function chosenGroups() {
  if (selected.length > 0) return [[selected]];
  if (process.argv.includes("--long")) return [[["long"]]];
  return process.argv.includes("--check") ? [checks, [["unit"]]] : groups;
}

/** Resolves to whether all stages passed. Stops after the first that failed. */
async function runInTurn(names, isBuffered) {
  for (const name of names) if (!(await run(name, isBuffered))) return false;
  return true;
}

/** Resolves to whether the stage passed. A stage that runs beside others prints its output when it ends. */
async function run(name, isBuffered) {
  const stage = stages[name];
  const started = Date.now();
  const head = `\n== ${name}`;
  console.log(isBuffered ? `${head} started` : head);
  const commands = Array.isArray(stage) ? [stage] : (stage.commands ?? testCommands(stage));
  const waiting = commands.values();
  const output = [];
  let ok = true;
  const runCommands = async () => {
    for (const command of waiting) {
      const result = await execute(command, isBuffered || commands.length > 1);
      ok &&= result.ok;
      if (isBuffered) output.push(result.text);
      else process.stdout.write(result.text);
    }
  };
  await Promise.all(Array.from({ length: stage.shards === undefined ? 1 : stage.atOnce }, runCommands));
  if (isBuffered) process.stdout.write(`${head}\n${output.join("")}`);
  console.log(`== ${name} ${ok ? "ok" : "FAILED"} in ${secondsSince(started)} s`);
  return ok;
}

function secondsSince(startMs) {
  return ((Date.now() - startMs) / 1000).toFixed(1);
}

/** Resolves to whether the command passed and, if `isBuffered`, its output. */
function execute([file, ...args], isBuffered) {
  const { NODE_COMPILE_CACHE = join(root, "node_modules/.cache/node") } = process.env;
  const child = spawn(file, args, {
    cwd: root,
    stdio: isBuffered ? ["inherit", "pipe", "pipe"] : "inherit",
    env: { ...process.env, NODE_COMPILE_CACHE },
  });
  const output = [];
  child.stdout?.on("data", (chunk) => output.push(chunk));
  child.stderr?.on("data", (chunk) => output.push(chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ ok: status === 0, text: Buffer.concat(output) }));
  });
}

/** One command for all files or, in shards, one for each shard, and before them one for the files that are alone. */
function testCommands({ files, atOnce, shards, alone = [], only, except = [] }) {
  const found = globSync(files, { cwd: root })
    .sort()
    .filter((file) => only?.includes(file) ?? true)
    .filter((file) =>
      filters.length === 0 ? !except.includes(file) : filters.some((filter) => file.includes(filter)),
    );
  if (found.length === 0 && filters.length > 0) {
    console.error(`no file of ${files} has ${filters.join(" or ")} in its path`);
    process.exit(1);
  }
  const start = [process.execPath, "--test", "--test-timeout=900000", ...options];
  const each = (files, processes) => [...start, `--test-concurrency=${processes}`, ...files];
  if (shards === undefined || filters.length > 0) return [each(found, atOnce)];
  const shared = found.filter((file) => !alone.includes(file));
  const sharded = Array.from({ length: shards }, (_, at) => [
    ...start,
    "--test-isolation=none",
    `--test-shard=${at + 1}/${shards}`,
    ...shared,
  ]);
  return alone.length === 0 ? sharded : [each(alone, 1), ...sharded];
}

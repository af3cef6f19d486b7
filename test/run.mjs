/**
 * Runs the stages of `npm test`, a few side by side, and stops after the first group with a failure.
 *
 *   node test/run.mjs                   every stage but the long ones
 *   node test/run.mjs --check           types, lint, house and unit
 *   node test/run.mjs --long            the long stage
 *   node test/run.mjs types unit        these stages, one after the other
 *   node test/run.mjs unit raft/core    of its test files, those whose path contains "raft/core"
 *   node test/run.mjs unit fault-of --test-name-pattern=written
 *                                       options are passed to node --test
 *
 * The tests are TypeScript, run by node:test through tsx. Node's compile cache is in node_modules/.cache.
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const bin = (name) => join(root, "node_modules/.bin", name);
/**
 * The tests of a folder, with at most `atOnce` processes at a time. Without `shards` each file has its own process. With
 * `shards` that many processes share the files, which halves the cost of many small files.
 */
const suite = (folder, atOnce, shards) => ({ files: `test/${folder}/**/*.test.ts`, atOnce, shards });

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
  // Programs that tests start are up in two thirds of the time from dist/ as from the sources.
  build: [process.execPath, "src/build.mjs", "--if-stale"],
  unit: suite("unit", 3, 9),
  contract: suite("contract", 2),
  transcript: suite("transcript", 2),
  sim: suite("sim", 1),
  wire: suite("wire", 2),
  browser: suite("browser", 1),
  cluster: suite("cluster", 2),
  long: suite("long", 1),
};
const checks = [["types"], ["types-web"], ["types-browser"], ["lint"], ["house"]];
/**
 * Groups run one after the other; the lanes of a group run side by side, and the stages of a lane one after the other.
 * Chosen for two cores: stages that compute run beside stages that wait.
 */
const groups = [
  [...checks, ["build"]],
  [["unit"], ["transcript"]],
  [
    ["contract", "sim", "browser"],
    ["wire", "cluster"],
  ],
];

const words = process.argv.slice(2).filter((word) => word !== "--long" && word !== "--check");
const asked = words.filter((word) => word in stages);
const options = words.filter((word) => word.startsWith("-"));
const filters = words.filter((word) => !asked.includes(word) && !options.includes(word));
if (asked.length === 0 && words.length > 0) {
  console.error(`no stage "${words[0]}"; the stages are ${Object.keys(stages).join(", ")}`);
  process.exit(1);
}
const began = Date.now();
for (const lanes of chosenGroups()) {
  const ended = await Promise.all(lanes.map((names) => runInTurn(names, lanes.length > 1)));
  if (!ended.every(Boolean)) process.exit(1);
}
console.log(`\nall ok in ${secondsSince(began)} s`);

function chosenGroups() {
  if (asked.length > 0) return [[asked]];
  if (process.argv.includes("--long")) return [[["long"]]];
  return process.argv.includes("--check") ? [checks, [["unit"]]] : groups;
}

/** Resolves to whether all stages passed. Stops after the first that failed. */
async function runInTurn(names, isHeld) {
  for (const name of names) if (!(await run(name, isHeld))) return false;
  return true;
}

/** Resolves to whether the stage passed. A stage that runs beside others prints its output when it ends. */
async function run(name, isHeld) {
  const stage = stages[name];
  const started = Date.now();
  const head = `\n== ${name}`;
  console.log(isHeld ? `${head} begins` : head);
  const commands = Array.isArray(stage) ? [stage] : (stage.commands ?? testCommands(stage));
  const waiting = commands.values();
  const output = [];
  let ok = true;
  const work = async () => {
    for (const command of waiting) {
      const ended = await execute(command, isHeld || commands.length > 1);
      ok &&= ended.ok;
      if (isHeld) output.push(ended.text);
      else process.stdout.write(ended.text);
    }
  };
  await Promise.all(Array.from({ length: stage.shards === undefined ? 1 : stage.atOnce }, work));
  if (isHeld) process.stdout.write(`${head}\n${output.join("")}`);
  console.log(`== ${name} ${ok ? "ok" : "FAILED"} in ${secondsSince(started)} s`);
  return ok;
}

function secondsSince(startMs) {
  return ((Date.now() - startMs) / 1000).toFixed(1);
}

/** Resolves to whether the command passed and, if `isHeld`, its output. */
function execute([file, ...args], isHeld) {
  const { NODE_COMPILE_CACHE = join(root, "node_modules/.cache/node") } = process.env;
  const child = spawn(file, args, {
    cwd: root,
    stdio: isHeld ? ["inherit", "pipe", "pipe"] : "inherit",
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

/** One command for all files or, in shards, one for each shard. */
function testCommands({ files, atOnce, shards }) {
  const found = globSync(files, { cwd: root })
    .sort()
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)));
  if (found.length === 0 && filters.length > 0) {
    console.error(`no file of ${files} has ${filters.join(" or ")} in its path`);
    process.exit(1);
  }
  const start = [process.execPath, "--import", "tsx", "--test", "--test-timeout=900000", ...options];
  if (shards === undefined || filters.length > 0)
    return [[...start, `--test-concurrency=${atOnce}`, ...found]];
  return Array.from({ length: shards }, (_, at) => [
    ...start,
    "--test-isolation=none",
    `--test-shard=${at + 1}/${shards}`,
    ...found,
  ]);
}

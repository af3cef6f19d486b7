/**
 * Runs the checks that `npm test` stands for, a few side by side, and stops at the first group in which one fails.
 *
 *   node test/run.mjs                 all of them
 *   node test/run.mjs types unit      these only, one after the other
 *   node test/run.mjs --long          the long ones
 *
 * The tests are TypeScript, run by node:test through tsx; what Node makes of it is kept in node_modules/.cache.
 *
 * Never: checks anything itself.
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const bin = (name) => join(root, "node_modules/.bin", name);
/**
 * The tests of a folder, so many processes at a time: one for each file or, in shards, one for a share of the files. Where
 * files are many and small, starting a process for each costs twice what its tests cost.
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
    ],
  },
  house: { files: "test/*.test.ts", atOnce: 2 },
  // What tests start as processes starts from dist/ in two thirds of the time that it takes from the sources.
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
/**
 * One group after the other; the lanes of a group side by side, each one stage after the other. For two cores: what
 * computes beside what waits. The simulator has a clock of its own.
 */
const groups = [
  [["types"], ["types-web"], ["types-browser"], ["lint"], ["house"], ["build"]],
  [["unit"], ["transcript"]],
  [
    ["contract", "sim", "browser"],
    ["wire", "cluster"],
  ],
];

const asked = process.argv.slice(2).filter((name) => name !== "--long");
const isLong = process.argv.includes("--long");
const chosen = asked.length > 0 ? [[asked]] : isLong ? [[["long"]]] : groups;
for (const lanes of chosen) {
  const ended = await Promise.all(lanes.map((names) => runInTurn(names, lanes.length > 1)));
  if (!ended.every(Boolean)) process.exit(1);
}

/** Answers whether all went well; after one that did not the rest is not begun. */
async function runInTurn(names, isHeld) {
  for (const name of names) if (!(await run(name, isHeld))) return false;
  return true;
}

/** Answers whether it went well. Of several at once, each tells all it has to tell when it ends. */
async function run(name, isHeld) {
  const stage = stages[name];
  if (stage === undefined) throw new Error(`no stage ${name}; there are ${Object.keys(stages).join(", ")}`);
  const started = Date.now();
  const head = `\n== ${name}`;
  console.log(isHeld ? `${head} begins` : head);
  const commands = Array.isArray(stage) ? [stage] : (stage.commands ?? testCommands(stage));
  const waiting = commands.values();
  const told = [];
  let ok = true;
  const work = async () => {
    for (const command of waiting) {
      const ended = await execute(command, isHeld || commands.length > 1);
      ok &&= ended.ok;
      if (isHeld) told.push(ended.text);
      else process.stdout.write(ended.text);
    }
  };
  await Promise.all(Array.from({ length: stage.shards === undefined ? 1 : stage.atOnce }, work));
  if (isHeld) process.stdout.write(`${head}\n${told.join("")}`);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`== ${name} ${ok ? "ok" : "FAILED"} in ${seconds} s`);
  return ok;
}

/** Resolves to whether it went well and, where that was held, what it told. */
function execute([file, ...args], isHeld) {
  const { NODE_COMPILE_CACHE = join(root, "node_modules/.cache/node") } = process.env;
  const child = spawn(file, args, {
    cwd: root,
    stdio: isHeld ? ["inherit", "pipe", "pipe"] : "inherit",
    env: { ...process.env, NODE_COMPILE_CACHE },
  });
  const told = [];
  child.stdout?.on("data", (chunk) => told.push(chunk));
  child.stderr?.on("data", (chunk) => told.push(chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ ok: status === 0, text: Buffer.concat(told) }));
  });
}

/** A process for each file; or, in shards, one for many files. */
function testCommands({ files, atOnce, shards }) {
  const found = globSync(files, { cwd: root }).sort();
  if (found.length === 0) return [];
  const start = [process.execPath, "--import", "tsx", "--test", "--test-timeout=900000"];
  if (shards === undefined) return [[...start, `--test-concurrency=${atOnce}`, ...found]];
  return Array.from({ length: shards }, (_, at) => [
    ...start,
    "--test-isolation=none",
    `--test-shard=${at + 1}/${shards}`,
    ...found,
  ]);
}

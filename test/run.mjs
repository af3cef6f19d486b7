/**
 * Runs the checks that `npm test` stands for, in order, and stops at the first that fails.
 *
 *   node test/run.mjs                 all of them
 *   node test/run.mjs types unit      these only
 *   node test/run.mjs --long          the long ones
 *
 * Never: checks anything itself.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const bin = (name) => join(root, "node_modules/.bin", name);
const suite = (folder, ...options) => ({
  files: `test/${folder}/**/*.test.ts`,
  options,
});

/** Stage name → a command, or a folder of tests. */
const stages = {
  types: [bin("tsc"), "--pretty"],
  "types-web": [bin("tsc"), "--pretty", "-p", "web/tsconfig.json"],
  "types-browser": [bin("tsc"), "--pretty", "-p", "test/browser/tsconfig.json"],
  lint: [bin("biome"), "check", "--error-on-warnings", "."],
  house: { files: "test/*.test.ts", options: [] },
  unit: suite("unit"),
  contract: suite("contract"),
  transcript: suite("transcript"),
  sim: suite("sim"),
  wire: suite("wire", "--test-concurrency=2"),
  browser: suite("browser", "--test-concurrency=1"),
  cluster: suite("cluster", "--test-concurrency=1"),
};
const long = {
  long: suite("long", "--test-concurrency=1"),
};

const asked = process.argv.slice(2);
const table = asked.includes("--long") ? long : stages;
const names = asked.filter((name) => name !== "--long");
for (const name of names.length > 0 ? names : Object.keys(table)) {
  const stage = table[name];
  if (stage === undefined) throw new Error(`no stage ${name}; there are ${Object.keys(table).join(", ")}`);
  const command = Array.isArray(stage) ? stage : testCommand(stage);
  if (command === undefined) continue;
  const started = Date.now();
  console.log(`\n== ${name}`);
  const { status } = spawnSync(command[0], command.slice(1), { cwd: root, stdio: "inherit" });
  console.log(
    `== ${name} ${status === 0 ? "ok" : "FAILED"} in ${((Date.now() - started) / 1000).toFixed(1)} s`,
  );
  if (status !== 0) process.exit(1);
}

function testCommand({ files, options }) {
  const found = globSync(files, { cwd: root });
  if (found.length === 0) return undefined;
  return [
    process.execPath,
    "--enable-source-maps",
    "--import",
    "tsx",
    "--test",
    "--test-timeout=900000",
    ...options,
    ...found.sort(),
  ];
}

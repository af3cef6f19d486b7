/**
 * npm runs this after it has installed the package. It removes what a node does not use of the Node.js that came with it:
 * headers for C, documentation and, on Linux, symbols for debuggers. That is 100 of 210 MiB.
 *
 * It changes only the optional dependency that belongs to this package. The program is replaced by a copy that was seen to run;
 * if something fails, it stays as it is. `npm install --ignore-scripts` leaves all out. In the repository it does nothing.
 */
"use strict";

const spawnSync = require("node:child_process").spawnSync;
const fs = require("node:fs");
const path = require("node:path");
const removeSymbols = require("./elf-symbols.cjs").removeSymbols;
const ownNode = require("./own-node.cjs").ownNode;

const unused = ["include", "share", "CHANGELOG.md", "README.md"];

/** Removes the files. `node` is a result of ownNode(). */
exports.trim = (node) => {
  for (const name of unused) fs.rmSync(path.join(node.folder, name), { recursive: true, force: true });
  if (process.platform !== "linux") return;
  removeCopies(node.program);
  const copy = `${node.program}.${process.pid}`;
  try {
    fs.copyFileSync(node.program, copy);
    removeSymbols(copy);
    checkRuns(copy, node.version);
    fs.renameSync(copy, node.program);
  } finally {
    fs.rmSync(copy, { force: true });
  }
};

/** Removes the copies of processes that were killed before they could. The name of a copy ends with the process id. */
function removeCopies(program) {
  const [folder, start] = [path.dirname(program), `${path.basename(program)}.`];
  for (const name of fs.readdirSync(folder)) {
    const pid = name.startsWith(start) ? name.slice(start.length) : "";
    if (/^\d+$/.test(pid) && !isRunning(Number(pid))) fs.rmSync(path.join(folder, name), { force: true });
  }
}

function isRunning(pid) {
  try {
    return process.kill(pid, 0);
  } catch (reason) {
    return reason.code !== "ESRCH";
  }
}

/** @throws Error if the program does not run and print its version */
function checkRuns(program, version) {
  const ran = spawnSync(program, ["-p", "process.version"], { encoding: "utf8", timeout: 60_000 });
  if (ran.status === 0 && ran.stdout.trim() === `v${version}`) return;
  const how = ran.error?.message ?? `status ${ran.status ?? ran.signal}, ${JSON.stringify(ran.stdout)}`;
  throw new Error(`the copy without symbols does not run as v${version}: ${how}`);
}

const node = ownNode();
if (require.main === module && node !== undefined && !fs.existsSync(path.join(__dirname, "main.ts"))) {
  try {
    exports.trim(node);
  } catch (reason) {
    console.error(`tailrace: ${node.folder} keeps files that are not used: ${reason.message}`);
  }
}

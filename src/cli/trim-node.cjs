/**
 * npm runs this after it has installed the package. It removes what a node does not use of the Node.js that came with it:
 * headers for C, documentation and, on Linux, symbols for debuggers. That is 100 of 210 MiB.
 *
 * It changes only the optional dependency that belongs to this package. If something fails, all stays as it is: the
 * program runs with or without it. `npm install --ignore-scripts` leaves it out. In the repository it does nothing.
 */
"use strict";

const spawnSync = require("node:child_process").spawnSync;
const fs = require("node:fs");
const path = require("node:path");
const removeSymbols = require("./elf-symbols.cjs").removeSymbols;
const ownNode = require("./own-node.cjs").ownNode;

const unused = ["include", "share", "CHANGELOG.md", "README.md"];

/** Removes the files. `node` is a result of ownNode(). */
function trim(node) {
  for (const name of unused) fs.rmSync(path.join(node.folder, name), { recursive: true, force: true });
  if (process.platform !== "linux") return;
  const copy = `${node.program}.${process.pid}`;
  try {
    fs.copyFileSync(node.program, copy);
    removeSymbols(copy);
    if (versionOf(copy) !== versionOf(node.program)) throw new Error("the copy does not run");
    fs.renameSync(copy, node.program);
  } finally {
    fs.rmSync(copy, { force: true });
  }
}

function versionOf(program) {
  return spawnSync(program, ["-p", "process.version"], { encoding: "utf8", timeout: 60_000 }).stdout;
}

const node = ownNode();
if (node !== undefined && !fs.existsSync(path.join(__dirname, "main.ts"))) {
  try {
    trim(node);
  } catch (reason) {
    console.error(`tailrace: ${node.folder} keeps files that are not used: ${reason.message}`);
  }
}

#!/usr/bin/env node
/**
 * The command `tailrace`. It runs main() or, on an old Node.js, itself again on the Node.js of the package (own-node.cjs).
 * The syntax is old, so that an old Node.js can parse it.
 *
 * An installed package has only the compiled dist/. The repository runs dist/ if it was compiled from the current sources
 * (stamp.cjs), because that starts sooner, and the sources otherwise.
 */
"use strict";

var fs = require("node:fs");
var path = require("node:path");

var nodeMin = 24;
var found = process.versions.node;
var root = path.join(__dirname, "..", "..");
var source = path.join(__dirname, "main.ts");
var compiled = path.join(root, "dist", "cli", "main.js");

if (Number(found.split(".")[0]) >= nodeMin) run();
else runOn(require("./own-node.cjs").ownNode());

function run() {
  require("node:module").enableCompileCache();
  var main = fs.existsSync(source) && !isFresh() ? source : compiled;
  import(require("node:url").pathToFileURL(main).href).then(
    (module) => module.main(process.argv.slice(2)),
    (reason) => {
      console.error(reason);
      process.exit(1);
    },
  );
}

/** Runs the command in a child process. Signals are passed on, and its end is the end of this process. */
function runOn(node) {
  if (node === undefined) {
    console.error(
      `tailrace needs Node.js ${nodeMin} or newer, this is ${found}; its own Node.js is not installed (npm install --include=optional)`,
    );
    process.exit(1);
  }
  var signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  // Before the child starts: a signal that arrives during the start is passed on, too.
  for (var signal of signals) process.on(signal, (name) => child.kill(name));
  var child = require("node:child_process").spawn(node.program, [__filename].concat(process.argv.slice(2)), {
    stdio: "inherit",
  });
  child.on("error", (reason) => {
    console.error(`tailrace cannot run its own Node.js: ${reason.message}`);
    process.exit(1);
  });
  child.on("exit", (status, signal) => {
    if (signal === null) process.exit(status);
    for (var name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

function isFresh() {
  try {
    return fs.readFileSync(path.join(root, "dist", "stamp"), "utf8") === require("./stamp.cjs").stampOf(root);
  } catch {
    return false;
  }
}

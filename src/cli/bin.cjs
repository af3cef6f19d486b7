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

/** A command that was started by runOn() has the process id of the wrapper in this variable. */
var wrapperVariable = "NODE_TAILRACE_WRAPPER";

/** Tests put the root of this repository here if they found its dist/ fresh, so that each command need not compare it again. */
var freshVariable = "NODE_TAILRACE_FRESH";

endWithNpx();
if (Number(found.split(".")[0]) >= nodeMin) run();
else runOn(require("./own-node.cjs").ownNode());

function run() {
  endWithWrapper();
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

/** Stops this process as SIGTERM does when the wrapper ends, also by SIGKILL: then the channel to it closes. */
function endWithWrapper() {
  if (process.env[wrapperVariable] === undefined) return;
  delete process.env[wrapperVariable];
  var stop = () => process.kill(process.pid, "SIGTERM");
  if (process.connected !== true) return stop();
  process.on("disconnect", stop);
  process.channel.unref();
}

/**
 * Stops this process as SIGTERM does when the shell of npx ends. npx passes a SIGTERM to its shell only, which dies of it and
 * leaves the command running. A command of a script that runs it in the background goes on.
 */
function endWithNpx() {
  var script = process.env.npm_lifecycle_script || "";
  if (process.env.npm_lifecycle_event !== "npx" || !/tailrace/.test(script) || /&/.test(script)) return;
  var parent = process.ppid;
  var timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, 250);
  timer.unref();
}

/** Runs the command in a child process. Signals are passed on, and its end is the end of this process. */
function runOn(node) {
  if (node === undefined) {
    console.error(
      `tailrace needs Node.js ${nodeMin} or newer, this is ${found}; its own Node.js is not installed (npm install --include=optional)`,
    );
    process.exit(1);
  }
  var signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"];
  // Before the child starts: a signal that arrives during the start is passed on, too.
  for (var signal of signals) process.on(signal, (name) => child.kill(name));
  var child = require("node:child_process").spawn(node.program, [__filename].concat(process.argv.slice(2)), {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: Object.assign({}, process.env, { [wrapperVariable]: String(process.pid) }),
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
  if (process.env[freshVariable] === root) return true;
  try {
    return fs.readFileSync(path.join(root, "dist", "stamp"), "utf8") === require("./stamp.cjs").stampOf(root);
  } catch {
    return false;
  }
}

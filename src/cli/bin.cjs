#!/usr/bin/env node
/**
 * The command `tailrace`. It checks the version of Node.js and runs main(). The syntax is old, so that an old Node.js can
 * parse it and print the message.
 *
 * An installed package has only the compiled dist/. The repository runs dist/ if it was compiled from the current sources
 * (stamp.cjs), because that starts sooner, and the sources otherwise.
 */
"use strict";

var fs = require("node:fs");
var path = require("node:path");

var nodeMin = 24;
var found = process.versions.node;
if (Number(found.split(".")[0]) < nodeMin) {
  console.error(
    `tailrace needs Node.js ${nodeMin} or newer, this is ${found}; npm start and npx tailrace use their own Node.js`,
  );
  process.exit(1);
}

var root = path.join(__dirname, "..", "..");
var source = path.join(__dirname, "main.ts");
var compiled = path.join(root, "dist", "cli", "main.js");

function isFresh() {
  try {
    return fs.readFileSync(path.join(root, "dist", "stamp"), "utf8") === require("./stamp.cjs").stampOf(root);
  } catch {
    return false;
  }
}

require("node:module").enableCompileCache();
var main = fs.existsSync(source) && !isFresh() ? source : compiled;
import(require("node:url").pathToFileURL(main).href).then(
  (module) => module.main(process.argv.slice(2)),
  (reason) => {
    console.error(reason);
    process.exit(1);
  },
);

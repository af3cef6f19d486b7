#!/usr/bin/env node
/**
 * The command `tailrace`. Plain old syntax on purpose, so that a Node that is too old can still say so.
 *
 * What runs: in an installed package, where there are no sources, the compiled dist/; in the repository the sources
 * themselves, or dist/ while it was compiled from exactly these (stamp.cjs), which starts sooner. Never stale code.
 *
 * Never: does anything but check the Node it runs on and hand over to main.
 */
"use strict";

var fs = require("node:fs");
var path = require("node:path");

var nodeMin = 24;
var found = process.versions.node;
if (Number(found.split(".")[0]) < nodeMin) {
  console.error(
    `tailrace needs Node >= ${nodeMin}, this is ${found}; npm start and npx tailrace bring their own`,
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
  (room) => room.main(process.argv.slice(2)),
  (reason) => {
    console.error(reason);
    process.exit(1);
  },
);

#!/usr/bin/env node
/**
 * The command `tailrace`. Plain old syntax on purpose, so that a Node that is too old can still say so.
 *
 * Never: does anything but check the Node it runs on and hand over to main.
 */
"use strict";

var path = require("node:path");

var found = process.versions.node;
var parts = found.split(".").map(Number);
if (parts[0] < 22 || (parts[0] === 22 && parts[1] < 15)) {
  console.error(`tailrace needs Node >= 22.15, this is ${found}; inside the repository run it by npm start`);
  process.exit(1);
}

// An installed package carries compiled JavaScript, for Node strips no types below node_modules.
var installed = __dirname.split(path.sep).indexOf("node_modules") !== -1;
if (!installed && !process.features.typescript) {
  console.error(
    `tailrace from source needs a Node that runs TypeScript, this is ${found}; run it by npm start`,
  );
  process.exit(1);
}

require("node:module").enableCompileCache();
var main = installed
  ? path.join(__dirname, "..", "..", "dist", "cli", "main.js")
  : path.join(__dirname, "main.ts");
import(require("node:url").pathToFileURL(main).href).then(
  (room) => room.main(process.argv.slice(2)),
  (reason) => {
    console.error(reason);
    process.exit(1);
  },
);

/**
 * Detects changes of the sources without reading them: names, sizes and modification times of all files that are compiled.
 * The compiled command runs only if its stamp is the current one. The syntax is old, as in bin.cjs.
 */
"use strict";

var fs = require("node:fs");
var path = require("node:path");

/** Returns one line for each file. Takes about 10 ms. */
exports.stampOf = (root) => {
  var names = fs
    .readdirSync(path.join(root, "src"), { recursive: true })
    .filter((name) => /\.(ts|js)$/.test(name))
    .map((name) => path.join("src", name))
    .sort();
  return names
    .concat("package.json", "package-lock.json")
    .map((name) => {
      var found = fs.statSync(path.join(root, name));
      return `${name} ${found.size} ${found.mtimeMs}\n`;
    })
    .join("");
};

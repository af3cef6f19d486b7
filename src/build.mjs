/**
 * Builds `dist/`, which an installed package runs: the command and `tailrace/server` as a few JavaScript files that include
 * their libraries (they start in a third less time and with 15 MB less memory), and the client with its types.
 *
 *   node src/build.mjs             into dist/
 *   node src/build.mjs OUT         into another folder next to package.json
 *   node src/build.mjs --prepare   for npm's prepare: a failure is printed, and fails only `npm pack` and `npm publish`
 *   node src/build.mjs --if-stale  only if the sources changed since the last build
 *
 * The stamp is computed before the build and written last, so an incomplete `dist/` never counts as fresh.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { bundled } from "./bundled.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const preparing = process.argv.includes("--prepare");
const packing = process.env.npm_command === "pack" || process.env.npm_command === "publish";
const out = join(root, process.argv.slice(2).find((arg) => !arg.startsWith("-")) ?? "dist");
const { stampOf } = createRequire(import.meta.url)("./cli/stamp.cjs");

/**
 * `node:http` for the command. An import of it reads all its exports, and three of them load all of `fetch`, which takes 0.1 s of
 * a start. This module has the others.
 */
const lightHttp = {
  name: "light-http",
  enforce: "pre",
  resolveId: (source) => (/^(node:)?http$/.test(source) ? "\0light-http" : undefined),
  load(id) {
    if (id !== "\0light-http") return undefined;
    const names = Object.entries(Object.getOwnPropertyDescriptors(http))
      .filter(([, { get }]) => get === undefined)
      .map(([name]) => name);
    return `const http = process.getBuiltinModule("node:http");\nexport default http;\nexport const { ${names} } = http;\n`;
  },
};

/** Not bundled: native code, a library that loads its own files, and what is loaded by name or installed only when wanted. */
const external = [
  "koffi",
  "yaml",
  "@opentelemetry/api",
  "@opentelemetry/exporter-metrics-otlp-grpc",
  "@opentelemetry/exporter-metrics-otlp-http",
  "@opentelemetry/exporter-metrics-otlp-proto",
  "@opentelemetry/sdk-node",
];
/** The client shares these with the program that uses it, because its types name them. */
const shared = ["@bufbuild/protobuf", "@connectrpc/connect", "@opentelemetry/api"];

/** Leaves the generated code out of the client: `tailrace/gen` is the same code for the client and the program. */
const sharedGen = {
  name: "shared-gen",
  enforce: "pre",
  resolveId(source) {
    const [, path] = /\/(gen\/.+_pb\.js)$/.exec(source) ?? [];
    return path === undefined ? undefined : { id: `../${path}`, external: true };
  },
};

/**
 * V8 keeps the text of each file that it runs. Without comments it is half as long, and with ASCII characters alone it takes one byte
 * a character instead of two. The lines stay, so that a stack trace leads to one. The licenses are in LICENSES.txt.
 */
const text = {
  comments: false,
  minify: {
    compress: false,
    mangle: false,
    codegen: { removeWhitespace: false, asciiOnly: true, legalComments: "none" },
  },
};

async function bundle(folder, input, ssr, { target = "node24", plugins = [], output = {} } = {}) {
  const { build } = await import("vite");
  await build({
    configFile: false,
    root,
    publicDir: false,
    logLevel: "error",
    plugins: [bundled(), ...plugins],
    ssr,
    build: {
      ssr: true,
      outDir: join(out, folder),
      target,
      minify: false,
      reportCompressedSize: false,
      rollupOptions: {
        input,
        output: { entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js", ...output },
      },
    },
  });
}

const bundleCommand = () =>
  bundle(
    "cli",
    {
      main: "src/cli/main.ts",
      server: "src/agent/embedded/server-entry.ts",
      // The worker is a program of its own, beside the chunk that starts it (src/rows/sqlite/worker-link.ts).
      "rows-worker": "src/rows/sqlite/rows-worker.ts",
    },
    { noExternal: true, external },
    { plugins: [lightHttp], output: text },
  );

const bundleClient = () =>
  bundle(
    "client",
    {
      mod: "src/client/mod.ts",
      browser: "src/client/browser.ts",
      telemetry: "src/telemetry/client-interceptor.ts",
    },
    { noExternal: /^@connectrpc\/connect-/, external: shared },
    // The client runs on Node.js 20 and in browsers.
    { target: "es2022", plugins: [sharedGen] },
  );

/** Writes the types of the client and of `tailrace/server`, and the generated code. */
function writeTypes() {
  declare("src/client/tsconfig.json", out);
  // The file imports the whole node, its types import nothing.
  const all = mkdtempSync(join(tmpdir(), "tailrace-types-"));
  try {
    declare("src/agent/embedded/tsconfig.json", all);
    cpSync(join(all, "agent/embedded/start-server.d.ts"), join(out, "cli/server.d.ts"));
  } finally {
    rmSync(all, { recursive: true, force: true });
  }
  const generated = (path) => !path.endsWith(".ts") || path.endsWith(".d.ts");
  cpSync(join(root, "src/gen"), join(out, "gen"), { recursive: true, filter: generated });
}

function declare(project, folder) {
  const tsc = join(root, "node_modules/.bin", process.platform === "win32" ? "tsc.cmd" : "tsc");
  const { status, error } = spawnSync(tsc, ["-p", project, "--outDir", folder], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) throw error ?? new Error(`tsc exited with ${status}`);
}

try {
  if (!existsSync(join(root, `node_modules${sep}vite`)))
    throw new Error("vite is not installed (dev dependencies left out)");
  const stamp = stampOf(root);
  const stampFile = join(out, "stamp");
  if (
    process.argv.includes("--if-stale") &&
    existsSync(stampFile) &&
    readFileSync(stampFile, "utf8") === stamp
  )
    process.exit();
  rmSync(out, { recursive: true, force: true });
  await bundleCommand();
  await bundleClient();
  writeTypes();
  writeFileSync(stampFile, stamp);
} catch (error) {
  const line = "!".repeat(78);
  console.error(`${line}\ndist/ was NOT built: ${error instanceof Error ? error.message : error}`);
  console.error(`The command runs from source until "npm run build" succeeds.\n${line}`);
  process.exitCode = preparing && !packing ? 0 : 1;
}

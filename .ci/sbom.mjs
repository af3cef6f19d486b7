/**
 * Writes the list of components of the package (SBOM, CycloneDX 1.5 in JSON): what npm installs with it, and the libraries
 * that are built into dist/ and web/dist. `npm sbom` knows all packages of the lockfile; the build says which are built in.
 *
 *   node .ci/sbom.mjs FILE     needs a finished build: npm run build && npm run build:web
 *
 * The same sources give the same file.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const read = (file) => readFileSync(join(root, file), "utf8");
const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: node .ci/sbom.mjs FILE");

const bundles = ["dist/cli/bundled.json", "dist/client/bundled.json", "web/dist/bundled.json"];
const builtIn = new Set(
  bundles.flatMap((bundle) => JSON.parse(read(bundle)).map(({ name, version }) => `${name}@${version}`)),
);
const whole = JSON.parse(
  execFileSync("npm", ["sbom", "--sbom-format=cyclonedx", "--sbom-type=application", "--package-lock-only"], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  }).toString(),
);

const isDevelopment = ({ name }) => name === "cdx:npm:package:development";
const components = whole.components
  .filter((one) => builtIn.has(one["bom-ref"]) || !one.properties.some(isDevelopment))
  .map(({ properties, ...one }) =>
    builtIn.has(one["bom-ref"])
      ? { ...one, scope: "required", properties: [{ name: "tailrace:built-in", value: "true" }] }
      : { ...one, properties },
  );
const kept = new Set(components.map((one) => one["bom-ref"]));
for (const name of builtIn)
  if (!kept.has(name)) throw new Error(`${name} is built in, but not in the lockfile`);

const { component } = whole.metadata;
const self = component["bom-ref"];
const dependencies = whole.dependencies
  .filter(({ ref }) => ref === self || kept.has(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((name) => kept.has(name)).sort() }));
const content = { component: { ...component, name: JSON.parse(read("package.json")).name }, components };
const digest = createHash("sha256").update(JSON.stringify(content)).digest("hex");
const parts = [
  digest.slice(0, 8),
  digest.slice(8, 12),
  `8${digest.slice(13, 16)}`,
  `a${digest.slice(17, 20)}`,
];
const committed = execFileSync("git", ["log", "-1", "--format=%cI"], { cwd: root }).toString().trim();
const bom = {
  ...whole,
  serialNumber: `urn:uuid:${[...parts, digest.slice(20, 32)].join("-")}`,
  metadata: { ...whole.metadata, timestamp: new Date(committed).toISOString(), component: content.component },
  components,
  dependencies,
};
writeFileSync(file, `${JSON.stringify(bom, null, 1)}\n`);

/**
 * JSON schemas of Kubernetes' objects for kubeconform, made from the OpenAPI document in Kubernetes' Go module. Objects take
 * only the properties that they have. The schemas of the three custom resources have the fields that the chart renders.
 *
 * The module must be in Go's module cache: `go mod download k8s.io/kubernetes@v1.34.0`, as .ci/run does.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kubernetesVersion } from "../../support/deploy/chart.ts";

const module = `k8s.io/kubernetes@v${kubernetesVersion}`;

/** Where kubeconform finds the schema of an object. The group of the core is "v1" there. */
export const schemaFile = "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json";

interface Schema {
  readonly [key: string]: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly "x-kubernetes-group-version-kind"?: readonly {
    readonly group: string;
    readonly version: string;
    readonly kind: string;
  }[];
}

type Definitions = Readonly<Record<string, Schema>>;

/** The path of the document, or undefined if the module is not in the cache. */
function documentPath(): string | undefined {
  const env = { ...process.env, GOPROXY: "off", GOFLAGS: "-mod=mod", GOTOOLCHAIN: "local" };
  const { status, stdout } = spawnSync("go", ["mod", "download", "-json", module], { encoding: "utf8", env });
  if (status !== 0) return undefined;
  return join((JSON.parse(stdout) as { Dir: string }).Dir, "api/openapi-spec/swagger.json");
}

/** Options for test(): empty if the module is there, else a reason to skip. */
export function requireSchemas(): { skip?: string } {
  if (documentPath() !== undefined) return {};
  const required = (process.env["TAILRACE_REQUIRE"] ?? "").split(",").includes("kubernetes-schemas");
  if (required) throw new Error(`${module} is not in Go's module cache, and TAILRACE_REQUIRE asks for it`);
  return {
    skip: `${module} is not in Go's module cache (TAILRACE_REQUIRE=kubernetes-schemas makes this a failure)`,
  };
}

/** Writes the schemas of these kinds, and of the custom resources, to the directory. */
export function writeSchemas(directory: string, kinds: readonly string[]): void {
  const path = documentPath();
  if (path === undefined) throw new Error(`${module} is not in Go's module cache`);
  const { definitions } = JSON.parse(readFileSync(path, "utf8")) as { definitions: Definitions };
  mkdirSync(directory, { recursive: true });
  const write = (group: string, version: string, kind: string, schema: object): void =>
    writeFileSync(
      join(directory, `${group === "" ? version : group}_${version}_${kind.toLowerCase()}.json`),
      JSON.stringify(schema),
    );
  for (const [name, definition] of Object.entries(definitions))
    for (const { group, version, kind } of definition["x-kubernetes-group-version-kind"] ?? [])
      if (kinds.includes(kind)) write(group, version, kind, wholeSchema(name, definitions));
  for (const { group, kind, spec } of customResources)
    write(group, "v1", kind, objectOf({ apiVersion: text, kind: text, metadata: {}, spec }));
}

/** The schema with all definitions that it refers to. */
function wholeSchema(name: string, definitions: Definitions): object {
  const used: Record<string, Schema> = {};
  const take = (taken: string): void => {
    if (taken in used) return;
    used[taken] = strict(taken, definitions[taken]!);
    for (const [, next = ""] of JSON.stringify(used[taken]).matchAll(/"#\/definitions\/([^"]+)"/g))
      take(next);
  };
  take(name);
  return { $ref: `#/definitions/${name}`, definitions: used };
}

/** The definition as JSON Schema: without properties that it does not have, and with numbers where text may be one. */
function strict(name: string, definition: Schema): Schema {
  if (name.endsWith(".Quantity") || name.endsWith(".IntOrString")) return { type: ["string", "number"] };
  const { properties } = definition;
  if (properties === undefined) return definition;
  return { ...definition, additionalProperties: false };
}

const text = { type: "string" } as const;
const texts = { type: "array", items: text } as const;
const duration = { type: "string", pattern: "^([0-9]+(ms|h|m|s))+$" } as const;
/** An object that takes no other properties. kubeconform wants no empty list of required ones. */
const objectOf = (properties: object, required: readonly string[] = Object.keys(properties)) => ({
  type: "object",
  properties,
  ...(required.length === 0 ? {} : { required }),
  additionalProperties: false,
});
const issuerRef = objectOf({ name: text, kind: text, group: text }, ["name"]);
const privateKey = objectOf(
  {
    algorithm: { enum: ["RSA", "ECDSA", "Ed25519"] },
    size: { type: "integer" },
    rotationPolicy: { enum: ["Always", "Never"] },
  },
  [],
);
const certificate = {
  ...{
    isCA: { type: "boolean" },
    secretName: text,
    commonName: { type: "string", maxLength: 64 },
    issuerRef,
    privateKey,
  },
  ...{ duration, renewBefore: duration, dnsNames: texts, ipAddresses: texts, uris: texts },
  usages: {
    type: "array",
    items: { enum: ["digital signature", "key encipherment", "server auth", "client auth"] },
  },
};
const endpoint = {
  ...{ port: text, path: text, interval: duration },
  relabelings: {
    type: "array",
    items: objectOf({ sourceLabels: texts, targetLabel: text, replacement: text }, []),
  },
};

const customResources = [
  {
    group: "cert-manager.io",
    kind: "Issuer",
    spec: {
      oneOf: [objectOf({ selfSigned: objectOf({}) }), objectOf({ ca: objectOf({ secretName: text }) })],
    },
  },
  {
    group: "cert-manager.io",
    kind: "Certificate",
    spec: objectOf(certificate, ["secretName", "issuerRef", "commonName"]),
  },
  {
    group: "monitoring.coreos.com",
    kind: "ServiceMonitor",
    spec: objectOf({
      selector: objectOf({ matchLabels: { type: "object" } }),
      namespaceSelector: objectOf({ matchNames: texts }),
      endpoints: { type: "array", items: objectOf(endpoint, ["port"]), minItems: 1 },
    }),
  },
];

/**
 * The chart: helm, kubeconform and kube-score accept what it renders with many values, and the rendered pods fit what
 * `tailrace serve` takes. test/long/kubernetes.test.ts runs them.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { parse } from "yaml";
import { readConfig, serveFlags } from "../../../src/agent/mod.ts";
import {
  chart,
  helm,
  kubernetesVersion,
  needed,
  render,
  renderText,
  textOf,
} from "../../support/deploy/chart.ts";
import {
  type Manifest,
  manifestOf,
  manifestsOf,
  type PolicyPort,
  selects,
} from "../../support/deploy/manifests.ts";
import { root } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import { requireSchemas, schemaFile, writeSchemas } from "./kubernetes-schemas.ts";

const policy = "p, root, *, admin\np, tailrace, *, consume\n";
const sets: Readonly<Record<string, object>> = {
  default: {},
  "one node": { replicas: 1, podAntiAffinity: "none", spreadZones: false },
  "one node with --bootstrap": {
    replicas: 1,
    extraArgs: ["--bootstrap"],
    podAntiAffinity: "none",
    spreadZones: false,
  },
  "five nodes": { replicas: 5, podAntiAffinity: "preferred", podDisruptionBudget: { maxUnavailable: 2 } },
  "an own Secret": { tls: { mode: "secret", secretName: "my-tls", clientAuth: "optional" } },
  "an issuer": {
    tls: {
      certManager: {
        issuerRef: { name: "corporate", kind: "ClusterIssuer", group: "cert-manager.io" },
        commonName: "log-node",
        extraDnsNames: ["logs.example.org"],
      },
    },
  },
  plaintext: { tls: { mode: "none" }, config: { "allow-hosts": ["logs.example.org"] } },
  "a gossip Secret": { gossip: { key: "", existingSecret: "my-gossip" } },
  policy: { access: { policy, model: readFileSync(join(root, "certs/model.conf"), "utf8") } },
  settings: {
    config: {
      "retention-age": "7d",
      "retention-bytes": 100_000_000_000,
      "cors-origins": ["https://example.org"],
    },
    extraArgs: ["--log-level", "debug"],
    extraEnv: [{ name: "OTEL_SDK_DISABLED", value: "true" }],
    replicas: 5,
    bootstrapExpect: 3,
  },
  everything: {
    image: {
      repository: "registry.example.org/tailrace",
      digest: `sha256:${"0".repeat(64)}`,
      pullPolicy: "Always",
    },
    imagePullSecrets: [{ name: "pull" }],
    fullnameOverride: "log",
    clusterDomain: "cluster.example",
    persistence: { size: "1.5Ti", storageClassName: "fast", annotations: { a: "b" } },
    service: { type: "LoadBalancer", annotations: { a: "b" } },
    nodeSelector: { disk: "ssd" },
    tolerations: [{ key: "dedicated", operator: "Equal", value: "logs", effect: "NoSchedule" }],
    priorityClassName: "high",
    podAnnotations: { a: "b" },
    podLabels: { team: "logs" },
    serviceAccount: { create: false, name: "logs" },
    networkPolicy: {
      clients: [{ namespaceSelector: { matchLabels: { name: "apps" } } }],
      monitoring: [{ namespaceSelector: { matchLabels: { name: "monitoring" } } }],
      extraEgress: [{ ports: [{ port: 4317, protocol: "TCP" }] }],
    },
    serviceMonitor: { enabled: true, labels: { release: "prometheus" } },
    extraVolumes: [{ name: "init", configMap: { name: "init" } }],
    extraVolumeMounts: [{ name: "init", mountPath: "/etc/tailrace/init" }],
    test: { log: "helm-test" },
  },
  backup: {
    backup: {
      bucket: "backups",
      credentialsSecret: "s3",
      endpoint: "http://minio.storage:9000",
      encryption: "AES256",
    },
  },
  "backup with a role": {
    backup: {
      bucket: "backups",
      prefix: "a/b",
      every: "15m",
      keep: 5,
      region: "eu-north-1",
      restoreNewNodes: true,
    },
    serviceAccount: { annotations: { "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/backup" } },
  },
  "nothing that is optional": {
    podDisruptionBudget: { enabled: false },
    networkPolicy: { enabled: false },
    serviceAccount: { create: false },
  },
  IPv6: { bindHost: "[::]" },
};
const names = Object.keys(sets);
const valuesOf = (name: string): object => ({ ...needed, ...sets[name] });
const nodeOf = (manifests: readonly Manifest[]) =>
  manifestOf(manifests, "StatefulSet").spec.template.spec.containers[0];
const needsHelm = requireProgram("helm");

/** Writes what the chart renders with each set of values to a file. */
function writeAll(directory: string): string[] {
  return names.map((name) => {
    const file = join(directory, `${name.replaceAll(" ", "-")}.yaml`);
    writeFileSync(file, textOf(valuesOf(name)));
    return file;
  });
}

test("helm lint finds nothing, with all sets of values", needsHelm, () => {
  for (const name of names) {
    const { status, out, err } = helm(
      ["lint", chart, "--strict", "--quiet", "--kube-version", kubernetesVersion, "-f", "-"],
      valuesOf(name),
    );
    assert.equal(status, 0, `${name}: ${out}${err}`);
  }
});

const needsSchemas =
  [needsHelm, requireProgram("kubeconform"), requireSchemas()].find(({ skip }) => skip) ?? {};

test("all manifests are valid for Kubernetes, also their names of fields", needsSchemas, (t: TestContext) => {
  const directory = scratch(t);
  const schemas = join(directory, "schemas");
  const kinds = new Set(names.flatMap((name) => render(valuesOf(name)).map(({ kind }) => kind)));
  writeSchemas(schemas, [...kinds]);
  const args = ["-strict", "-summary", "-kubernetes-version", kubernetesVersion];
  const from = ["-schema-location", join(schemas, schemaFile)];
  const run = (files: readonly string[]) =>
    spawnSync("kubeconform", [...args, ...from, ...files], { encoding: "utf8" });
  const { status, stdout, stderr } = run(writeAll(directory));
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /Invalid: 0, Errors: 0, Skipped: 0/);
  const wrong = join(directory, "wrong.yaml");
  const text = readFileSync(join(directory, "default.yaml"), "utf8");
  writeFileSync(wrong, text.replace("podManagementPolicy", "podManagmentPolicy"));
  assert.match(run([wrong]).stdout, /podManagmentPolicy/);
});

/**
 * What kube-score is not to ask for. A limit of processor time would stop a node in the middle of an election. The chart names
 * the tag of its version, and only "latest" needs to be pulled always.
 */
const notAsked = ["--ignore-container-cpu-limit", "--ignore-test", "container-image-pull-policy"];

test(
  "kube-score finds no critical problem",
  [needsHelm, requireProgram("kube-score")].find(({ skip }) => skip) ?? {},
  (t: TestContext) => {
    const files = writeAll(scratch(t)).filter((file) => !/nothing-that-is-optional|one-node/.test(file));
    for (const file of files) {
      const args = ["score", ...notAsked, file];
      const { status, stdout, stderr } = spawnSync("kube-score", args, { encoding: "utf8" });
      assert.equal(status, 0, stdout + stderr);
    }
  },
);

test("a login can begin at each name of the release, and at those of the values", needsHelm, () => {
  const hosts = (more: object): string[] => {
    const text = manifestOf(render({ ...needed, ...more }), "ConfigMap").data["tailrace.yaml"] ?? "";
    return (parse(text) as { "allow-hosts": string[] })["allow-hosts"];
  };
  const own = hosts({});
  assert.ok(own.length >= 8, own.join());
  assert.ok(own.some((name) => /-headless\..*\.svc\./.test(name)));
  assert.deepEqual(hosts({ config: { "allow-hosts": ["logs.example.org"] } }), [...own, "logs.example.org"]);
  assert.deepEqual(hosts({ tls: { mode: "none" } }), own);
});

test("values that cannot work are refused with what to do", needsHelm, () => {
  const refused: readonly (readonly [object, RegExp])[] = [
    [{ gossip: {} }, /set gossip\.existingSecret, or gossip\.key to a key from "tailrace keygen"/],
    [{ gossip: { key: "short" } }, /key/],
    [{ tls: { mode: "secret" } }, /tls\.secretName must name a Secret/],
    [{ tls: { mode: "plain" } }, /mode/],
    [{ replica: 3 }, /replica/],
    [{ replicas: 0 }, /replicas/],
    [{ config: { "retention-ages": "7d" } }, /retention-ages/],
    [{ config: { "node-name": "mine" } }, /node-name/],
    [{ probes: { liveness: { period: 1 } } }, /period/],
    [{ persistence: { accessModes: ["ReadWriteMany"] } }, /accessModes/],
    [{ extraArgs: ["--bootstrap"] }, /would form a cluster of its own; set replicas to 1/],
    [{ extraArgs: ["--bootstrap=true"], replicas: 2 }, /set replicas to 1/],
    [{ extraArgs: ["--bootstrap-expect=1"], replicas: 1 }, /set bootstrapExpect, and not --bootstrap-expect/],
    [{ extraEnv: [{ name: "TAILRACE_BOOTSTRAP_EXPECT", value: "1" }] }, /not TAILRACE_BOOTSTRAP_EXPECT in/],
    [{ bootstrapExpect: 1 }, /two clusters could form; set it to at least 2, or to null/],
    [{ bootstrapExpect: 2, replicas: 4 }, /at least 3/],
    [{ bootstrapExpect: 2, replicas: 5 }, /at least 3/],
    [{ backup: { bucket: "Not_a_Bucket" } }, /bucket/],
    [{ backup: { bucket: "backups", endpoint: "minio:9000" } }, /endpoint/],
    [{ backup: { bucket: "backups", restoreNewNodes: true }, replicas: 1 }, /needs more than one replica/],
    [
      { terminationGracePeriodSeconds: 60, preStopWaitSeconds: 60 },
      /must be greater than preStopWaitSeconds/,
    ],
  ];
  for (const [values, why] of refused) {
    const { status, err } = renderText({ ...needed, ...values });
    assert.notEqual(status, 0, `${why} was not refused`);
    assert.match(err, why);
  }
});

/** Settings that the chart sets itself, from the name of the pod, the other nodes and the other values. */
const chartSettings = [
  ...["addr", "advertise-addr", "ops-addr", "data-dir", "node-name", "config-file", "gossip-addr", "encrypt"],
  ...["bootstrap", "bootstrap-expect", "start-join-addrs", "client-auth", "allow-plaintext"],
  ...[
    "server-tls-cert-file",
    "server-tls-key-file",
    "server-tls-ca-file",
    "acl-model-file",
    "acl-policy-file",
  ],
  ...["backup-to", "backup-every", "backup-keep", "restore-from"],
  ...["s3-endpoint", "s3-encryption", "s3-encryption-key"],
];

test("the schema of the values has all settings of serve that the chart does not set", () => {
  const schema = JSON.parse(readFileSync(join(chart, "values.schema.json"), "utf8")) as {
    properties: { config: { propertyNames: { enum: string[] } } };
  };
  const all = serveFlags.map((flag) => flag.slice(2));
  assert.deepEqual(
    schema.properties.config.propertyNames.enum,
    all.filter((name) => !chartSettings.includes(name)),
  );
});

test(
  "serve accepts the arguments, variables and configuration of a pod, with all sets of values",
  needsHelm,
  () => {
    for (const name of names) {
      const manifests = render(valuesOf(name));
      const { args = [], env = [] } = nodeOf(manifests);
      const [command, ...flags] = args.map((arg) => arg.replaceAll("$(POD_NAME)", "tailrace-0"));
      assert.equal(command, "serve");
      const secret = { TAILRACE_ENCRYPT: needed.gossip.key };
      const set = manifestOf(manifests, "StatefulSet").metadata.name;
      const { config } = readConfig({
        flags,
        environment: {
          ...Object.fromEntries(env.map((variable) => [variable.name, variable.value])),
          ...secret,
        },
        readFile: () => manifestOf(manifests, "ConfigMap", set).data["tailrace.yaml"] ?? "",
      });
      const { replicas, serviceName } = manifestOf(manifests, "StatefulSet").spec;
      assert.equal(config.startJoinAddrs.length, replicas);
      assert.match(
        config.advertiseAddr?.host ?? "",
        new RegExp(`^tailrace-0\\.${serviceName}\\.logs\\.svc\\.`),
      );
      const { bootstrapExpect = replicas } = sets[name] as { bootstrapExpect?: number };
      assert.equal(config.bootstrapExpect, config.bootstrap ? undefined : bootstrapExpect, name);
      assert.equal(config.dataDir, "/data/tailrace");
      // The configuration names no file that is not mounted.
      const { volumeMounts = [] } = nodeOf(manifests);
      for (const file of [
        config.serverTlsKeyFile,
        config.aclPolicyFile,
        config.aclModelFile,
        config.configFile,
      ])
        assert.ok(
          file === undefined || volumeMounts.some(({ mountPath }) => file.startsWith(`${mountPath}/`)),
          file ?? "",
        );
    }
  },
);

test("the services select the nodes and not the pod of helm test", needsHelm, () => {
  const manifests = render({ ...needed, serviceMonitor: { enabled: true } });
  const { metadata, spec } = manifestOf(manifests, "StatefulSet").spec.template;
  const tester = manifestOf(manifests, "Pod");
  const selectors = [
    ...manifestsOf(manifests, "Service").map((service) => service.spec.selector),
    manifestOf(manifests, "PodDisruptionBudget").spec.selector.matchLabels,
    manifestOf(manifests, "NetworkPolicy", "tailrace").spec.podSelector.matchLabels,
    manifestOf(manifests, "StatefulSet").spec.selector.matchLabels,
  ];
  for (const selector of selectors) {
    assert.ok(selects(selector, metadata.labels ?? {}));
    assert.ok(!selects(selector, tester.metadata.labels ?? {}));
  }
  const ports = spec.containers[0].ports ?? [];
  for (const { spec: service } of manifestsOf(manifests, "Service"))
    for (const { targetPort, protocol } of service.ports)
      assert.ok(
        ports.some((port) => port.name === targetPort && port.protocol === protocol),
        targetPort,
      );
  // The ServiceMonitor selects one service, which has the port and the nodes that are not ready.
  const monitor = manifestOf(manifests, "ServiceMonitor").spec;
  const [scraped, more] = manifestsOf(manifests, "Service").filter((service) =>
    selects(monitor.selector.matchLabels, service.metadata.labels ?? {}),
  );
  assert.equal(more, undefined);
  assert.equal(scraped?.spec.publishNotReadyAddresses, true);
  assert.ok(scraped.spec.ports.some(({ name }) => name === monitor.endpoints[0]?.port));
});

test("nodes find each other before they are ready, and start at once", needsHelm, () => {
  const manifests = render();
  const { podManagementPolicy, serviceName } = manifestOf(manifests, "StatefulSet").spec;
  assert.equal(podManagementPolicy, "Parallel");
  const { clusterIP, publishNotReadyAddresses } = manifestOf(manifests, "Service", serviceName).spec;
  assert.deepEqual([clusterIP, publishNotReadyAddresses], ["None", true]);
});

test(
  "the network policy lets nodes reach all ports of each other, and others only what is for them",
  needsHelm,
  () => {
    const { ingress, egress } = manifestOf(render(), "NetworkPolicy", "tailrace").spec;
    const text = (ports: readonly PolicyPort[]): string[] =>
      ports.map(({ port, protocol }) => `${port}/${protocol}`);
    const peers = ["8080/TCP", "8080/UDP"];
    assert.deepEqual(
      ingress.map(({ ports }) => text(ports)),
      [peers, ["8080/TCP"], ["9080/TCP"]],
    );
    assert.deepEqual(
      egress.map(({ ports }) => text(ports)),
      [peers, ["53/UDP", "53/TCP"]],
    );
    assert.ok(
      ingress.every(({ from }) => from.length > 0),
      "an empty list would allow everyone",
    );
  },
);

test("a bucket for backups: its settings, its credentials and the way to it", needsHelm, () => {
  const of = (values: object) => {
    const manifests = render({ ...needed, ...values });
    const { env = [] } = nodeOf(manifests);
    const { egress } = manifestOf(manifests, "NetworkPolicy", "tailrace").spec;
    return {
      settings: parse(manifestOf(manifests, "ConfigMap").data["tailrace.yaml"] ?? "") as Record<
        string,
        unknown
      >,
      variables: env.filter(({ name }) => name.startsWith("AWS_")),
      ports: egress.slice(2).map(({ ports }) => ports.map(({ port }) => port)),
      account: manifestOf(manifests, "ServiceAccount").metadata.annotations ?? {},
    };
  };
  const none = of({});
  assert.deepEqual([none.settings["backup-to"], none.variables, none.ports], [undefined, [], []]);
  const secret = of({
    backup: { bucket: "backups", endpoint: "http://minio.storage:9000", credentialsSecret: "s3" },
  });
  assert.equal(secret.settings["backup-to"], "s3://backups/logs/tailrace");
  assert.equal(secret.settings["s3-endpoint"], "http://minio.storage:9000");
  assert.deepEqual(
    secret.variables.map(({ name, valueFrom }) => [name, valueFrom?.secretKeyRef]),
    [
      ["AWS_REGION", undefined],
      ["AWS_ACCESS_KEY_ID", { name: "s3", key: "AWS_ACCESS_KEY_ID" }],
      ["AWS_SECRET_ACCESS_KEY", { name: "s3", key: "AWS_SECRET_ACCESS_KEY" }],
    ],
  );
  assert.deepEqual(secret.ports, [[443, 9000]]);
  const role = of(sets["backup with a role"]!);
  const { "backup-to": to, "restore-from": from, "backup-every": every, "backup-keep": keep } = role.settings;
  assert.deepEqual([to, from, every, keep], ["s3://backups/a/b", "s3://backups/a/b", "15m", 5]);
  assert.deepEqual(
    role.variables.map(({ name }) => name),
    ["AWS_REGION"],
  );
  assert.deepEqual(role.ports, [[443], [80]]);
  assert.equal(role.account["eks.amazonaws.com/role-arn"], "arn:aws:iam::1:role/backup");
});

test("the probes and the hook of a pod fit its times", needsHelm, () => {
  const manifests = render();
  const { spec } = manifestOf(manifests, "StatefulSet").spec.template;
  const { startupProbe, livenessProbe, readinessProbe, lifecycle } = spec.containers[0];
  // Liveness must not need other nodes: a restart would bring no majority back.
  assert.deepEqual(
    [startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet.path),
    ["/livez", "/livez", "/readyz"],
  );
  const [, waitMs = ""] =
    /setTimeout\(\(\) => \{\}, (\d+)\)/.exec(lifecycle?.preStop.exec.command.at(-1) ?? "") ?? [];
  const { config } = readConfig({ flags: [], environment: {}, readFile: () => "" });
  assert.ok(spec.terminationGracePeriodSeconds * 1_000 > Number(waitMs) + 2 * config.shutdownTimeout);
  assert.doesNotMatch(JSON.stringify(manifests), /"(leave|remove)"/);
});

test("pods have few rights, no token and no variables of services", needsHelm, () => {
  const manifests = render();
  const pods = [manifestOf(manifests, "StatefulSet").spec.template.spec, manifestOf(manifests, "Pod").spec];
  for (const pod of pods) {
    const { runAsNonRoot, runAsUser, runAsGroup } = pod.securityContext;
    assert.deepEqual([runAsNonRoot, `${runAsUser}:${runAsGroup}`], [true, "65532:65532"]);
    // Such as TAILRACE_PORT, which serve refuses as an unknown setting.
    assert.equal(pod.enableServiceLinks, false);
    for (const { securityContext } of [...(pod.initContainers ?? []), ...pod.containers]) {
      const { readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities } = securityContext;
      assert.deepEqual(
        [readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities?.drop],
        [true, false, ["ALL"]],
      );
    }
  }
});

test("more replicas than one wait for all of them, or for the cluster of the first one", needsHelm, () => {
  const settings = (replicas: number): { "bootstrap-expect": number; "start-join-addrs": string[] } =>
    parse(manifestOf(render({ ...needed, replicas }), "ConfigMap").data["tailrace.yaml"] ?? "");
  assert.deepEqual([settings(1)["bootstrap-expect"], settings(3)["bootstrap-expect"]], [1, 3]);
  assert.match(settings(3)["start-join-addrs"][0] ?? "", /^tailrace-0\./);
});

test("the class of the volumes is the default of the cluster, a name, or none", needsHelm, () => {
  const classOf = (persistence: object): unknown => {
    const { volumeClaimTemplates } = manifestOf(render({ ...needed, persistence }), "StatefulSet").spec;
    return volumeClaimTemplates[0]?.spec.storageClassName;
  };
  assert.deepEqual(
    [{}, { storageClassName: null }, { storageClassName: "fast" }, { storageClassName: "" }].map(classOf),
    [undefined, undefined, "fast", ""],
  );
});

test("helm test can run twice: it creates its log only if it is missing", needsHelm, () => {
  const { initContainers = [] } = manifestOf(render({ ...needed, test: { log: "probe" } }), "Pod").spec;
  const create = initContainers.find(({ name }) => name === "create")?.args ?? [];
  assert.deepEqual(create.slice(0, 4), ["logs", "create", "probe", "--if-not-exists"]);
});

test("a changed setting replaces the pods, and another number of replicas does not", needsHelm, () => {
  const template = (values: object): object =>
    manifestOf(render({ ...needed, ...values }), "StatefulSet").spec.template;
  assert.deepEqual(template({ replicas: 5 }), template({}));
  assert.notDeepEqual(template({ config: { "retention-age": "7d" } }), template({}));
});

test("the chart renders the same each time, without a gossip key of its own", needsHelm, () => {
  assert.equal(renderText().out, textOf());
  assert.deepEqual(manifestsOf(render(valuesOf("a gossip Secret")), "Secret"), []);
});

test("the chart and its image have the version of the package", () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const about = parse(readFileSync(join(chart, "Chart.yaml"), "utf8")) as {
    version: string;
    appVersion: string;
  };
  assert.deepEqual([about.version, about.appVersion], [version, version]);
});

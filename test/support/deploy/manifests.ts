/** The manifests that the chart renders, as far as tests read them. */
export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
}

export type Labels = Readonly<Record<string, string>>;

export interface Manifest<Kind extends string = string, Spec = unknown> {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: Metadata;
  readonly spec: Spec;
}

export interface ConfigMap extends Manifest<"ConfigMap"> {
  readonly data: Labels;
}

export interface Secret extends Manifest<"Secret"> {
  readonly stringData: Labels;
}

export interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
  };
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string | number };
  readonly initialDelaySeconds?: number;
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
}

export interface ContainerSecurity {
  readonly readOnlyRootFilesystem?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly capabilities?: { readonly drop: readonly string[] };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly Variable[];
  readonly ports?: readonly {
    readonly name: string;
    readonly containerPort: number;
    readonly protocol: string;
  }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly securityContext: ContainerSecurity;
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
}

export interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: { readonly secretName: string; readonly defaultMode: number };
  readonly emptyDir?: object;
}

export interface PodSpec {
  readonly enableServiceLinks?: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: {
    readonly runAsNonRoot: boolean;
    readonly runAsUser: number;
    readonly runAsGroup: number;
    readonly fsGroup: number;
  };
  readonly affinity?: { readonly podAntiAffinity: Readonly<Record<string, unknown>> };
  readonly initContainers?: readonly Container[];
  readonly containers: readonly [Container];
  readonly volumes?: readonly Volume[];
}

export interface PodTemplate {
  readonly metadata: Pick<Metadata, "labels" | "annotations">;
  readonly spec: PodSpec;
}

export type Pod = Manifest<"Pod", PodSpec>;

export type StatefulSet = Manifest<
  "StatefulSet",
  {
    readonly replicas: number;
    readonly serviceName: string;
    readonly podManagementPolicy: string;
    readonly updateStrategy: { readonly type: string };
    readonly selector: { readonly matchLabels: Labels };
    readonly template: PodTemplate;
    readonly volumeClaimTemplates: readonly Manifest<
      "PersistentVolumeClaim",
      { readonly storageClassName?: string }
    >[];
  }
>;

export type Service = Manifest<
  "Service",
  {
    readonly clusterIP?: string;
    readonly publishNotReadyAddresses?: boolean;
    readonly selector: Labels;
    readonly ports: readonly {
      readonly name: string;
      readonly port: number;
      readonly targetPort: string;
      readonly protocol: string;
    }[];
  }
>;

export type PodDisruptionBudget = Manifest<
  "PodDisruptionBudget",
  { readonly maxUnavailable: number; readonly selector: { readonly matchLabels: Labels } }
>;

export type Certificate = Manifest<
  "Certificate",
  {
    readonly isCA?: boolean;
    readonly secretName: string;
    readonly commonName: string;
    readonly dnsNames?: readonly string[];
    readonly ipAddresses?: readonly string[];
    readonly uris?: readonly string[];
    readonly usages?: readonly string[];
  }
>;

export interface Kinds {
  readonly ConfigMap: ConfigMap;
  readonly Secret: Secret;
  readonly Pod: Pod;
  readonly StatefulSet: StatefulSet;
  readonly Service: Service;
  readonly PodDisruptionBudget: PodDisruptionBudget;
  readonly Certificate: Certificate;
  readonly Issuer: Manifest<"Issuer">;
  readonly NetworkPolicy: Manifest<"NetworkPolicy", NetworkPolicySpec>;
  readonly ServiceAccount: Manifest<"ServiceAccount">;
  readonly ServiceMonitor: Manifest<
    "ServiceMonitor",
    { readonly selector: { readonly matchLabels: Labels }; readonly endpoints: readonly { port: string }[] }
  >;
}

export interface NetworkPolicySpec {
  readonly podSelector: { readonly matchLabels: Labels };
  readonly policyTypes: readonly string[];
  readonly ingress: readonly { readonly from: readonly unknown[]; readonly ports: readonly PolicyPort[] }[];
  readonly egress: readonly { readonly to?: readonly unknown[]; readonly ports: readonly PolicyPort[] }[];
}

export interface PolicyPort {
  readonly port: number;
  readonly protocol: string;
}

/** All manifests of a kind. */
export const manifestsOf = <Kind extends keyof Kinds>(
  manifests: readonly Manifest[],
  kind: Kind,
): readonly Kinds[Kind][] => manifests.filter((manifest) => manifest.kind === kind) as never;

/**
 * The only manifest of a kind, or the only one with that name.
 * @throws Error if there is none, or more than one
 */
export function manifestOf<Kind extends keyof Kinds>(
  manifests: readonly Manifest[],
  kind: Kind,
  name?: string,
): Kinds[Kind] {
  const found = manifestsOf(manifests, kind).filter(
    ({ metadata }) => name === undefined || metadata.name === name,
  );
  if (found.length !== 1) throw new Error(`${found.length} manifests are a ${kind} ${name ?? ""}`);
  return found[0]!;
}

/** Returns whether a selector selects these labels. */
export const selects = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);

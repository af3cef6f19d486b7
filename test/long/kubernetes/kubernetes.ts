/**
 * The parts of Kubernetes that the chart uses: a StatefulSet with its volumes, services as names, a PodDisruptionBudget, and
 * certificates as cert-manager makes them. What a manifest says decides; nothing here knows the chart.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { imageConfig } from "../../support/deploy/dockerfile.ts";
import {
  type Container as ContainerSpec,
  type Labels,
  type Manifest,
  manifestOf,
  manifestsOf,
  type Pod,
  type PodSpec,
  selects,
} from "../../support/deploy/manifests.ts";
import type { Ended } from "../../support/process/process.ts";
import { until } from "../../support/until.ts";
import { Authority } from "./cert-manager.ts";
import type { Mount } from "./container.ts";
import { PodNetwork } from "./pod-network.ts";
import { type Deleted, PodRun } from "./pod-run.ts";
import { PodSandbox } from "./pod-sandbox.ts";
import { serviceVariables, variablesOf } from "./variables.ts";
import { makeDisk, makeEmptyDirectory, writeFiles } from "./volumes.ts";

/** For until(), where pods have to do something. */
export const podWait = { limitMs: 120_000, everyMs: 50 } as const;

export class Kubernetes {
  readonly authority = new Authority();
  /** The running pods by name. */
  readonly pods = new Map<string, PodRun>();
  readonly #directory: string;
  readonly #network: PodNetwork;
  readonly #secrets = new Map<string, Labels>();
  readonly #disks = new Set<string>();
  #manifests: readonly Manifest[] = [];
  #started = 0;

  constructor(directory: string) {
    this.#directory = directory;
    this.#network = new PodNetwork(directory);
  }

  /** Takes the manifests, as `helm install` and `helm upgrade`. Pods are not changed. */
  async apply(manifests: readonly Manifest[]): Promise<void> {
    this.#manifests = manifests;
    for (const { metadata, stringData } of manifestsOf(manifests, "Secret"))
      this.#secrets.set(metadata.name, stringData);
    for (const certificate of manifestsOf(manifests, "Certificate")) {
      const { secretName } = certificate.spec;
      if (!this.#secrets.has(secretName))
        this.#secrets.set(secretName, await this.authority.issue(certificate));
    }
  }

  /** Issues the certificate again, and swaps the files of running pods. */
  async renew(secretName: string): Promise<void> {
    const certificate = manifestsOf(this.#manifests, "Certificate").find(
      ({ spec }) => spec.secretName === secretName,
    );
    this.#secrets.set(secretName, await this.authority.issue(certificate!));
    for (const { name } of this.pods.values()) this.#writeVolumes(name, this.#set.spec.template.spec);
  }

  /** The names of the StatefulSet's pods. */
  get names(): string[] {
    const { metadata, spec } = this.#set;
    return Array.from({ length: spec.replicas }, (_, n) => `${metadata.name}-${n}`);
  }

  pod(name: string): PodRun {
    const found = this.pods.get(name);
    if (found === undefined) throw new Error(`there is no pod ${name}`);
    return found;
  }

  /** Starts every pod that is not there, all at once. */
  startAll(): void {
    if (this.#set.spec.podManagementPolicy !== "Parallel") throw new Error("only Parallel is supported here");
    for (const name of this.names) if (!this.pods.has(name)) this.start(name);
  }

  /** Deletes the pods that are too many, all at once. Their disks stay. */
  async deleteSurplus(): Promise<ReadonlyMap<string, Deleted>> {
    const surplus = [...this.pods].filter(([name]) => !this.names.includes(name));
    const deleted = surplus.map(async ([name, pod]) => {
      const end = await pod.delete();
      this.pods.delete(name);
      return [name, end] as const;
    });
    return new Map(await Promise.all(deleted));
  }

  /** Starts the pod with its disk, or with a new one if the disk was lost. It gets a new address. */
  start(name: string): PodRun {
    const { template } = this.#set.spec;
    const { spec } = template;
    for (const { metadata } of this.#set.spec.volumeClaimTemplates) {
      const disk = `${metadata.name}-${name}`;
      if (!this.#disks.has(disk)) makeDisk(this.#path("disks", disk), spec.securityContext.fsGroup);
      this.#disks.add(disk);
    }
    const pod = new PodRun({
      ...this.#sandboxOptions(name, spec),
      template,
      onChange: () => this.#publish(),
    });
    this.pods.set(name, pod);
    this.#publish();
    return pod;
  }

  async ready(name: string): Promise<void> {
    const explain = (): string => this.#explained(name);
    const pod = this.pod(name);
    // A container that ends again and again will not become ready.
    const isOver = (): boolean => pod.isReady || pod.restarts.length > 2;
    await until(`${name} is ready`, isOver, { ...podWait, explain });
    if (!pod.isReady) throw new Error(`${name} does not start: ${explain()}`);
  }

  async allReady(): Promise<void> {
    for (const name of this.names) await this.ready(name);
  }

  /** Deletes a pod, and starts it again with its disk. */
  async replace(name: string): Promise<Deleted> {
    const deleted = await this.pod(name).delete();
    this.start(name);
    return deleted;
  }

  /** Updates all pods, from the last one: each must be ready before the next one is deleted. */
  async rollingUpdate(
    onDeleted: (name: string, pod: PodRun, deleted: Deleted) => Promise<void>,
  ): Promise<void> {
    if (this.#set.spec.updateStrategy.type !== "RollingUpdate") throw new Error("not a rolling update");
    for (const name of this.names.reverse()) {
      const pod = this.pod(name);
      const deleted = await this.replace(name);
      await this.ready(name);
      await onDeleted(name, pod, deleted);
    }
  }

  /** Evicts a pod if its budget allows that, as `kubectl drain`. Returns whether it did. */
  async evict(name: string): Promise<Deleted | undefined> {
    const { spec } = manifestOf(this.#manifests, "PodDisruptionBudget");
    const covered = [...this.pods.values()].filter(({ labels }) =>
      selects(spec.selector.matchLabels, labels),
    );
    const healthy = covered.filter(({ isReady, isTerminating }) => isReady && !isTerminating).length;
    if (healthy - 1 < this.names.length - spec.maxUnavailable) return undefined;
    return this.replace(name);
  }

  /** The machine of a pod loses its power. The pod is started again only by start(). */
  async loseMachine(name: string): Promise<void> {
    await this.pod(name).loseMachine();
    this.pods.delete(name);
  }

  loseDisk(name: string): void {
    for (const { metadata } of this.#set.spec.volumeClaimTemplates) {
      const disk = `${metadata.name}-${name}`;
      this.#disks.delete(disk);
      rmSync(this.#path("disks", disk), { recursive: true });
    }
  }

  /** Runs the pod of `helm test`: its containers one after the other. Returns the first that fails, or the last. */
  async test(): Promise<Ended & { readonly container: string }> {
    const pod: Pod = manifestOf(this.#manifests, "Pod");
    const sandbox = new PodSandbox(this.#sandboxOptions(pod.metadata.name, pod.spec));
    try {
      for (const spec of pod.spec.initContainers ?? []) {
        const ended = await sandbox.start(spec).ended;
        if (ended.status !== 0) return { ...ended, container: spec.name };
      }
      const [spec] = pod.spec.containers;
      return { ...(await sandbox.start(spec).ended), container: spec.name };
    } finally {
      sandbox.detach();
    }
  }

  async end(): Promise<void> {
    await Promise.all([...this.pods.values()].map((pod) => pod.loseMachine()));
  }

  get #set() {
    return manifestOf(this.#manifests, "StatefulSet");
  }

  #path(...parts: readonly string[]): string {
    return join(this.#directory, ...parts);
  }

  #sandboxOptions(name: string, spec: PodSpec) {
    this.#writeVolumes(name, spec);
    const services = spec.enableServiceLinks === false ? [] : manifestsOf(this.#manifests, "Service");
    const before = { KUBERNETES_SERVICE_HOST: "10.96.0.1", ...serviceVariables(services) };
    const fields = { "metadata.name": name };
    const secret = (secretName: string, key: string): string => this.#secret(secretName)[key] ?? "";
    return {
      name,
      spec,
      image: imageConfig(),
      network: this.#network,
      directory: this.#path("pods", `${name}-${++this.#started}`),
      mountsOf: (container: ContainerSpec) => this.#mountsOf(name, spec, container),
      variablesOf: ({ env = [] }: ContainerSpec) => variablesOf(env, { fields, secret, before }),
    };
  }

  #secret(name: string): Labels {
    const found = this.#secrets.get(name);
    if (found === undefined) throw new Error(`there is no Secret ${name}`);
    return found;
  }

  /** Writes the files of Secrets and ConfigMaps. Those of a running pod are swapped. */
  #writeVolumes(pod: string, { volumes = [], securityContext }: PodSpec): void {
    const group = securityContext.fsGroup;
    for (const { name, configMap, secret, emptyDir } of volumes) {
      const path = this.#path("volumes", pod, name);
      if (configMap !== undefined) {
        const { data } = manifestOf(this.#manifests, "ConfigMap", configMap.name);
        writeFiles(path, data, { mode: 0o644, group });
      } else if (secret !== undefined) {
        writeFiles(path, this.#secret(secret.secretName), { mode: secret.defaultMode, group });
      } else if (emptyDir !== undefined) makeEmptyDirectory(path, group);
      else throw new Error(`the volume ${name} is of a kind that is not supported here`);
    }
  }

  #mountsOf(pod: string, { volumes = [] }: PodSpec, { volumeMounts = [] }: ContainerSpec): Mount[] {
    return volumeMounts.map(({ name, mountPath, readOnly }) => ({
      from: volumes.some((volume) => volume.name === name)
        ? this.#path("volumes", pod, name)
        : this.#path("disks", `${name}-${pod}`),
      at: mountPath,
      readOnly: readOnly === true,
    }));
  }

  /** Puts the services and the pods of headless ones into the hosts file. */
  #publish(): void {
    const names = new Map<string, string[]>();
    const add = (name: string, address: string): void =>
      void names.set(name, [...(names.get(name) ?? []), address]);
    for (const { metadata, spec } of manifestsOf(this.#manifests, "Service")) {
      const service = `${metadata.name}.${metadata.namespace}.svc.cluster.local`;
      for (const pod of this.pods.values()) {
        const isServing = pod.isReady && !pod.isTerminating;
        if (!selects(spec.selector, pod.labels)) continue;
        if (!isServing && spec.publishNotReadyAddresses !== true) continue;
        add(service, pod.address);
        const isNamed = spec.clusterIP === "None" && this.#set.spec.serviceName === metadata.name;
        if (isNamed) add(`${pod.name}.${service}`, pod.address);
      }
    }
    this.#network.publish(names);
  }

  #explained(name: string): string {
    const pod = this.pods.get(name);
    return `${pod?.restarts.join(", ")}\n${pod?.log.split("\n").slice(-15).join("\n")}`;
  }
}

/** Whether two releases differ in the template of the pods, so that an upgrade replaces the pods. */
export const templateDiffers = (one: readonly Manifest[], other: readonly Manifest[]): boolean =>
  !isDeepStrictEqual(
    manifestOf(one, "StatefulSet").spec.template,
    manifestOf(other, "StatefulSet").spec.template,
  );

/** What the containers of a pod share: its network, volumes and variables. It starts them. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ImageConfig } from "../../support/deploy/dockerfile.ts";
import type { Container as ContainerSpec, Labels, PodSpec } from "../../support/deploy/manifests.ts";
import { Container, type Mount } from "./container.ts";
import type { PodNetwork } from "./pod-network.ts";
import { commandOf } from "./variables.ts";

export interface PodSandboxOptions {
  readonly name: string;
  readonly spec: PodSpec;
  readonly image: ImageConfig;
  readonly network: PodNetwork;
  /** An empty directory. */
  readonly directory: string;
  readonly mountsOf: (container: ContainerSpec) => readonly Mount[];
  readonly variablesOf: (container: ContainerSpec) => Labels;
}

export class PodSandbox {
  readonly address: string;
  readonly #options: PodSandboxOptions;
  readonly #network: ReturnType<PodNetwork["attach"]>;
  #containers = 0;

  constructor(options: PodSandboxOptions) {
    this.#options = options;
    this.#network = options.network.attach();
    this.address = this.#network.address;
  }

  start(spec: ContainerSpec): Container {
    const { name, image, network, directory, mountsOf, variablesOf } = this.#options;
    const { runAsUser, runAsGroup, fsGroup } = this.#options.spec.securityContext;
    const root = join(directory, `root-${++this.#containers}`);
    mkdirSync(root, { recursive: true });
    const variables = { PATH: image.path, HOSTNAME: name, ...variablesOf(spec) };
    return new Container({
      root,
      script: `${root}.sh`,
      network: this.#network.path,
      hostsFile: network.hostsFile,
      hostName: name,
      user: runAsUser,
      group: runAsGroup,
      volumeGroup: fsGroup,
      readOnlyRoot: spec.securityContext.readOnlyRootFilesystem === true,
      mounts: mountsOf(spec),
      variables,
      directory: image.directory,
      command: commandOf(spec, image, variables),
    });
  }

  detach(): void {
    this.#options.network.detach(this.#network.name);
  }
}

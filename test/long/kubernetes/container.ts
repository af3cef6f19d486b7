/**
 * A container as a process: with its own mounts, process ids and host name, the network of its pod, and the user, the
 * variables and the read-only root that it asks for. Its root is the unpacked image, or else one like it, made from the
 * programs of this machine with the repository in the place of the package.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { type Ended, ended, root as repository } from "../../support/process/process.ts";
import { until } from "../../support/until.ts";

export interface Mount {
  readonly from: string;
  readonly at: string;
  readonly readOnly: boolean;
}

export interface ContainerOptions {
  /** An empty directory, which becomes the root. */
  readonly root: string;
  /** The unpacked image. It is not changed. */
  readonly image?: string | undefined;
  /** A file for the script that prepares the root. */
  readonly script: string;
  /** The file of the network namespace. Default: a new one, with loopback only. */
  readonly network?: string;
  readonly hostsFile: string;
  readonly hostName: string;
  readonly user: number;
  readonly group: number;
  /** The group that owns the volumes. */
  readonly volumeGroup: number;
  readonly readOnlyRoot: boolean;
  readonly mounts: readonly Mount[];
  readonly variables: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly command: readonly string[];
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const bind = ({ from, at, readOnly }: Mount): string[] => [
  `mkdir -p ${quoted(`.${at}`)}`,
  `mount --bind ${quoted(from)} ${quoted(`.${at}`)}`,
  ...(readOnly ? [`mount -o remount,bind,ro ${quoted(`.${at}`)}`] : []),
];

/** Mounts the image with an empty layer above it, which gets the places of the mounts. */
const imageRoot = (image: string, root: string): string[] => [
  `mount -t tmpfs -o mode=755 layer ${quoted(root)}`,
  `mkdir ${quoted(root)}/{upper,work,merged}`,
  `mount -t overlay -o ${quoted(`lowerdir=${image},upperdir=${root}/upper,workdir=${root}/work`)} overlay ${quoted(root)}/merged`,
  `cd ${quoted(root)}/merged`,
];

/** Makes a root like that of the image. */
const machineRoot = (root: string): string[] => [
  `mount -t tmpfs -o mode=755 root ${quoted(root)}`,
  `cd ${quoted(root)}`,
  ...bind({ from: "/usr", at: "/usr", readOnly: true }),
  "for name in bin lib lib64; do",
  '  if [ -L "/$name" ]; then cp -P "/$name" .; else mkdir "$name"; mount --bind "/$name" "$name"; fi',
  "done",
  "mkdir -p etc opt/tailrace/bin opt/tailrace/lib/node_modules",
  "cp /etc/ld.so.cache etc/",
  "echo 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' > etc/passwd",
  "echo 'hosts: files' > etc/nsswitch.conf",
  // Outside of node_modules, because Node.js runs TypeScript only there.
  ...bind({ from: repository, at: "/opt/tailrace/repository", readOnly: true }),
  "ln -s ../../repository opt/tailrace/lib/node_modules/tailrace",
  "ln -s ../lib/node_modules/tailrace/src/cli/bin.cjs opt/tailrace/bin/tailrace",
];

/** Runs in new namespaces as their first process, and ends as the command of the container. */
function scriptOf(options: ContainerOptions): string {
  const { root, image, hostsFile, hostName, mounts, readOnlyRoot, directory } = options;
  const { user, group, volumeGroup } = options;
  return [
    "set -euo pipefail",
    "mount --make-rprivate /",
    `hostname ${quoted(hostName)}`,
    ...(options.network === undefined ? ["ip link set lo up"] : []),
    ...(image === undefined ? machineRoot(root) : imageRoot(image, root)),
    `mkdir -p proc dev tmp ${quoted(`.${directory}`)}`,
    "mount -t proc proc proc",
    "mount --rbind /dev dev",
    "hostname > etc/hostname",
    "touch etc/hosts",
    `mount --bind ${quoted(hostsFile)} etc/hosts`,
    ...mounts.flatMap(bind),
    ...(readOnlyRoot ? ['mount -o remount,ro "$PWD"'] : []),
    `exec setpriv --no-new-privs chroot --userspec=${user}:${group} --groups=${volumeGroup} . ${inside(options, options.command).map(quoted).join(" ")}`,
    "",
  ].join("\n");
}

/** The command with the variables and the directory of the container. */
const inside = ({ variables, directory }: ContainerOptions, command: readonly string[]): string[] => [
  ...["/usr/bin/env", "-i", `--chdir=${directory}`],
  ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
  ...command,
];

export class Container {
  /** What it has written to both outputs. */
  log = "";
  readonly ended: Promise<Ended>;
  readonly #options: ContainerOptions;
  readonly #child: ChildProcess;

  constructor(options: ContainerOptions) {
    this.#options = options;
    writeFileSync(options.script, scriptOf(options));
    const namespaces = ["--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc"];
    const { network } = options;
    const [entered, made] = network === undefined ? [[], ["--net"]] : [[`--net=${network}`], []];
    const args = [...entered, "unshare", ...namespaces, ...made, "bash", options.script];
    const child = spawn("nsenter", args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    for (const output of [child.stdout, child.stderr])
      output.on("data", (chunk: Buffer) => {
        this.log += chunk.toString("utf8");
      });
    this.ended = ended(child);
  }

  /** Sends a signal to the first process of the container. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const pid = await this.#pid();
    if (pid !== undefined) process.kill(pid, signal);
  }

  /** Runs a command in the container, as a hook or as `kubectl exec`. */
  async execute(command: readonly string[]): Promise<Ended> {
    const pid = await this.#pid();
    if (pid === undefined) throw new Error("the container has ended");
    const { user, group } = this.#options;
    const namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--root"];
    const enter = [`--target=${pid}`, ...namespaces, `--setuid=${user}`, `--setgid=${group}`, "--"];
    return ended(spawn("nsenter", [...enter, ...inside(this.#options, command)]));
  }

  /** The number of the first process outside of the container; undefined if it has ended. */
  async #pid(): Promise<number | undefined> {
    const { pid } = this.#child;
    const isOver = (): boolean => this.#child.exitCode !== null || this.#child.signalCode !== null;
    const first = await until("the container has a process", () =>
      isOver() ? "none" : readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim(),
    );
    return first === "none" ? undefined : Number(first);
  }
}

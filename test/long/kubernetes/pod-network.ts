/**
 * The network of the pods: each pod has a network namespace with an address that no pod had before, all on one bridge. Their
 * names are in a hosts file, which every process of the namespace sees as /etc/hosts.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const run = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, { encoding: "utf8" });
const ip = (...args: readonly string[]): string => run("ip", ...args);

export class PodNetwork {
  readonly hostsFile: string;
  #pods = 0;

  /** Changes the network and the mounts of this process's namespaces, which must be its own. */
  constructor(directory: string) {
    this.hostsFile = join(directory, "hosts");
    this.publish(new Map());
    run("mount", "--make-rprivate", "/");
    run("mount", "--bind", this.hostsFile, "/etc/hosts");
    // The names of network namespaces.
    run("mount", "-t", "tmpfs", "tmpfs", "/run");
    ip("link", "set", "lo", "up");
    ip("link", "add", "pods", "type", "bridge");
    ip("addr", "add", "10.244.0.1/16", "dev", "pods");
    ip("link", "set", "pods", "up");
  }

  /** Makes a namespace. `path` is its file. */
  attach(): { readonly name: string; readonly path: string; readonly address: string } {
    const name = `pod${++this.#pods}`;
    const address = `10.244.${1 + Math.floor(this.#pods / 200)}.${1 + (this.#pods % 200)}`;
    ip("netns", "add", name);
    ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name);
    ip("link", "set", name, "master", "pods", "up");
    ip("-n", name, "addr", "add", `${address}/16`, "dev", "eth0");
    ip("-n", name, "link", "set", "eth0", "up");
    ip("-n", name, "link", "set", "lo", "up");
    return { name, path: `/run/netns/${name}`, address };
  }

  detach(name: string): void {
    ip("link", "del", name);
    ip("netns", "del", name);
  }

  /** Replaces all names. The file stays the same one, because it is mounted. */
  publish(names: ReadonlyMap<string, readonly string[]>): void {
    const lines = [...names].flatMap(([name, addresses]) =>
      addresses.map((address) => `${address} ${name}\n`),
    );
    writeFileSync(this.hostsFile, `127.0.0.1 localhost\n${lines.join("")}`);
  }
}

/** Builds an image with buildah, in a storage of its own. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Ended, ended, root } from "../../support/process/process.ts";
import { usersEnvironment } from "../registry.ts";
import { makeBase, makeBuildRoot } from "./debian.ts";

/** The settings with which npm reaches its registry here. */
function npmSettings(): string {
  const own = join(homedir(), ".npmrc");
  const get = (name: string): string =>
    execFileSync("npm", ["config", "get", name], { encoding: "utf8", env: usersEnvironment() }).trim();
  const settings = ["registry", "cafile"].map((name) => [name, get(name)]);
  const lines = settings.filter(([, value]) => value !== "null").map((setting) => `${setting.join("=")}\n`);
  return `${existsSync(own) ? readFileSync(own, "utf8") : ""}\n${lines.join("")}`;
}

export class Buildah implements Disposable {
  readonly #directory: string;
  readonly #global: readonly string[];

  constructor(directory: string) {
    this.#directory = join(directory, "buildah");
    mkdirSync(this.#directory);
    const storage = ["--root", join(this.#directory, "root"), "--runroot", join(this.#directory, "run")];
    this.#global = [...storage, "--storage-driver", "overlay"];
  }

  /**
   * Runs `docker build` with these arguments. `bases` are the images that the Dockerfile takes as arguments, by the names of
   * the arguments.
   */
  async build(args: readonly string[], bases: Readonly<Record<string, string>>): Promise<Ended> {
    const given: string[] = [];
    // All images or none: files are copied from one to the other, so both must be of one Debian.
    const pulled = Object.values(bases).every((image) => this.#pulls(image));
    for (const name of pulled ? [] : Object.keys(bases)) {
      const made = name === "BUILD_IMAGE" ? makeBuildRoot(this.#directory) : makeBase(this.#directory);
      this.#import(made, name.toLowerCase());
      given.push("--build-arg", `${name}=localhost/${name.toLowerCase()}`);
    }
    const npmrc = join(this.#directory, "npmrc");
    writeFileSync(npmrc, npmSettings(), { mode: 0o600 });
    // The build sees the network and the authorities of this machine.
    const machine = [
      "--isolation",
      "chroot",
      "--network",
      "host",
      "--volume",
      "/etc/ssl/certs:/etc/ssl/certs:ro",
    ];
    const options = ["--pull=false", "--format", "docker", ...machine, ...given];
    return ended(
      spawn("buildah", [...this.#global, "build", ...options, "--secret", `id=npmrc,src=${npmrc}`, ...args], {
        cwd: root,
      }),
    );
  }

  /** Unpacks an image. Returns its root. */
  mount(image: string): string {
    const container = this.#run("from", "--pull=false", image);
    return this.#run("mount", container);
  }

  #pulls(image: string): boolean {
    const args = [...this.#global, "pull", "--quiet", image];
    return spawnSync("buildah", args, { timeout: 300_000 }).status === 0;
  }

  #import(directory: string, name: string): void {
    const container = this.#run("from", "scratch");
    this.#run("copy", "--quiet", container, directory, "/");
    this.#run("commit", "--quiet", container, name);
    this.#run("rm", container);
  }

  #run(...args: readonly string[]): string {
    return execFileSync("buildah", [...this.#global, ...args], { encoding: "utf8" }).trim();
  }

  [Symbol.dispose](): void {
    spawnSync("buildah", [...this.#global, "umount", "--all"]);
    spawnSync("buildah", [...this.#global, "rm", "--all"]);
    spawnSync("buildah", [...this.#global, "rmi", "--all", "--force"]);
    // Its storage is a mount of its own.
    spawnSync("umount", [join(this.#directory, "root/overlay")]);
  }
}

/**
 * A pod that runs: its container with probes. A container that ends is started again, as with restartPolicy Always, until
 * the pod is deleted.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Container as ContainerSpec, Labels, PodTemplate } from "../../support/deploy/manifests.ts";
import type { Ended } from "../../support/process/process.ts";
import type { Container } from "./container.ts";
import { PodSandbox, type PodSandboxOptions } from "./pod-sandbox.ts";
import { runProbes } from "./probes.ts";

export interface PodRunOptions extends Omit<PodSandboxOptions, "spec"> {
  readonly template: PodTemplate;
  /** Readiness or the address has changed. */
  readonly onChange: () => void;
}

/** How a pod was deleted. */
export interface Deleted {
  readonly hook: Ended | undefined;
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly tookMs: number;
}

export class PodRun {
  readonly name: string;
  readonly labels: Labels;
  readonly address: string;
  isReady = false;
  isLive = false;
  isTerminating = false;
  /** Why its container was started again, each time. */
  readonly restarts: string[] = [];
  /** Liveness probes that passed. */
  livenessPassed = 0;
  readonly #options: PodRunOptions;
  readonly #spec: ContainerSpec;
  readonly #sandbox: PodSandbox;
  readonly #gone = new AbortController();
  #log = "";
  #container: Container;

  constructor(options: PodRunOptions) {
    this.#options = options;
    this.name = options.name;
    this.labels = options.template.metadata.labels ?? {};
    this.#sandbox = new PodSandbox({ ...options, spec: options.template.spec });
    this.address = this.#sandbox.address;
    this.#spec = options.template.spec.containers[0];
    this.#container = this.#sandbox.start(this.#spec);
    void this.#supervise();
  }

  get log(): string {
    return this.#log + this.#container.log;
  }

  /** Runs a command in the container, as `kubectl exec`. */
  execute(command: readonly string[]): Promise<Ended> {
    return this.#container.execute(command);
  }

  /** Ends the pod as the kubelet does: the hook, SIGTERM and, at the end of the grace period, SIGKILL. */
  async delete(): Promise<Deleted> {
    const { lifecycle } = this.#spec;
    const graceMs = this.#options.template.spec.terminationGracePeriodSeconds * 1_000;
    const started = performance.now();
    this.isTerminating = true;
    this.#options.onChange();
    this.#gone.abort();
    const container = this.#container;
    const over = pause(graceMs, "over" as const, { ref: false });
    const hook =
      lifecycle === undefined
        ? undefined
        : await Promise.race([container.execute(lifecycle.preStop.exec.command), over]);
    await container.kill("SIGTERM");
    const end = await Promise.race([container.ended, over]);
    if (end === "over") await container.kill("SIGKILL");
    const { status, signal } = await container.ended;
    this.#detach();
    const tookMs = Math.round(performance.now() - started);
    return { hook: hook === "over" ? undefined : hook, status, signal, tookMs };
  }

  /** Ends the pod as a machine that loses its power. */
  async loseMachine(): Promise<void> {
    this.isTerminating = true;
    this.#gone.abort();
    await this.#container.kill("SIGKILL");
    await this.#container.ended;
    this.#detach();
  }

  #detach(): void {
    this.isReady = false;
    this.#sandbox.detach();
    this.#options.onChange();
  }

  async #supervise(): Promise<void> {
    const gone = this.#gone.signal;
    while (!gone.aborted) {
      const container = this.#container;
      const probing = new AbortController();
      const probes = runProbes({
        container: this.#spec,
        address: this.address,
        signal: AbortSignal.any([gone, probing.signal]),
        onReady: (isReady) => this.#setReady(isReady),
        onLive: (isLive) => {
          this.isLive = isLive;
          if (isLive) this.livenessPassed++;
        },
        onFailed: (probe) => {
          this.restarts.push(`its ${probe} probe failed`);
          void container.kill("SIGKILL");
        },
      });
      const { status, signal } = await container.ended;
      probing.abort();
      await probes;
      this.#setReady(false);
      if (gone.aborted) return;
      this.restarts.push(`it ended with ${signal ?? status}`);
      await pause(1_000, undefined, { signal: gone }).catch(() => undefined);
      if (gone.aborted) return;
      this.#log += container.log;
      this.#container = this.#sandbox.start(this.#spec);
    }
  }

  #setReady(isReady: boolean): void {
    if (this.isReady === isReady) return;
    this.isReady = isReady;
    this.#options.onChange();
  }
}

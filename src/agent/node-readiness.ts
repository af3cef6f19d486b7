/**
 * The reasons why a node is not ready: the only readiness, for /readyz, the status, the gauge, gRPC health and the service
 * manager. Each part of the node sets and clears its own reason by name. A condition is asked instead; nothing calls back when
 * it changes, so look() must be called periodically.
 */
import type { Readiness } from "../api/mod.ts";

/** Returns why a condition does not hold, undefined while it holds. */
export type Condition = () => string | undefined;

export class NodeReadiness implements Readiness {
  readonly #reasons = new Map<string, string>();
  readonly #conditions = new Map<string, Condition>();
  readonly #listeners = new Set<() => void>();
  /** The reasons of the conditions when look() was called last. */
  #seen = "";

  reasons(): readonly string[] {
    return [...this.partReasons(), ...this.#conditionReasons()];
  }

  /** The reasons that parts have set, without those of the conditions. */
  partReasons(): readonly string[] {
    return [...this.#reasons.values()];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sets the reason of the part `name`; undefined if that part is ready. */
  set(name: string, reason: string | undefined): void {
    if (this.#reasons.get(name) === reason) return;
    if (reason === undefined) this.#reasons.delete(name);
    else this.#reasons.set(name, reason);
    this.#notify();
  }

  /** Adds a condition, or replaces the one with the same name. */
  require(name: string, condition: Condition): void {
    this.#conditions.set(name, condition);
    this.look();
  }

  /** Asks the conditions, and calls the listeners if their reasons differ from those of the last call. */
  look(): void {
    const found = this.#conditionReasons().join("\n");
    if (found === this.#seen) return;
    this.#seen = found;
    this.#notify();
  }

  /** Resolves when no reason is left. */
  ready(): Promise<void> {
    if (this.reasons().length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = this.onChange(() => {
        if (this.reasons().length > 0) return;
        stop();
        resolve();
      });
    });
  }

  #conditionReasons(): readonly string[] {
    return [...this.#conditions.values()].flatMap((condition) => condition() ?? []);
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

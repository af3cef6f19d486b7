/** The readiness checks of a node: what must hold before it is sent traffic. */
import { type Clock, within } from "../../lib/time/clock.ts";

export interface ReadinessCheck {
  /** A short name such as `leader` or `certificates`, shown by /readyz?verbose. */
  readonly name: string;
  /** Returns true, or the reason why not. What it throws is a reason too. */
  readonly check: () => true | string | Promise<true | string>;
  /** A note that is shown while the check passes. A function is called each time; undefined is no note. */
  readonly note?: string | (() => string | undefined);
}

export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly reason?: string;
  readonly note?: string;
}

export interface ReadinessOptions {
  readonly clock: Clock;
  /** How long a check may take before it counts as failed, milliseconds. */
  readonly checkMs: number;
}

export class ReadinessChecks {
  readonly #options: ReadinessOptions;
  readonly #checks = new Map<string, ReadinessCheck>();
  #isDraining = false;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** Adds a check, or replaces the one with the same name. The returned function removes it. */
  add(check: ReadinessCheck): () => void {
    this.#checks.set(check.name, check);
    return () => {
      if (this.#checks.get(check.name) === check) this.#checks.delete(check.name);
    };
  }

  /** The node shuts down: it is not ready from now on. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Runs all checks. */
  async results(): Promise<CheckResult[]> {
    const running: CheckResult = this.#isDraining
      ? { name: "running", ok: false, reason: "the node is shutting down" }
      : { name: "running", ok: true };
    return [running, ...(await Promise.all([...this.#checks.values()].map((check) => this.#run(check))))];
  }

  async #run({ name, check, note }: ReadinessCheck): Promise<CheckResult> {
    const { clock, checkMs } = this.#options;
    try {
      const result = await within(clock, Promise.resolve(check()), checkMs);
      if (result === "late") return { name, ok: false, reason: `no answer within ${checkMs} ms` };
      if (result !== true) return { name, ok: false, reason: result };
      const text = typeof note === "function" ? note() : note;
      return text === undefined ? { name, ok: true } : { name, ok: true, note: text };
    } catch (error) {
      return { name, ok: false, reason: error instanceof Error ? error.message : String(error) };
    }
  }
}

export const isReady = (results: readonly CheckResult[]): boolean => results.every(({ ok }) => ok);

/** The text of /readyz: `ok` and the notes if the node is ready, else the failed checks. */
export const briefText = (results: readonly CheckResult[]): string =>
  isReady(results)
    ? lines(["ok", ...results.filter(({ note }) => note !== undefined).map(line)])
    : lines(results.filter(({ ok }) => !ok).map(line));

/** The text of /readyz?verbose: all checks. */
export const verboseText = (results: readonly CheckResult[]): string =>
  lines([...results.map(line), `readyz check ${isReady(results) ? "passed" : "failed"}`]);

const lines = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join("");

const line = ({ name, ok, reason, note }: CheckResult): string =>
  ok ? `[+]${name} ok${note === undefined ? "" : `: ${note}`}` : `[-]${name} failed: ${reason}`;

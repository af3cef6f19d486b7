/**
 * Applies --init-file: creates and updates its logs once this node leads, at each start. What fails is repeated until it is
 * done, but not a log that is refused as invalid, such as one whose time of expiry has passed. A node that does not lead waits; the leader applies its own file.
 */
import { readFileSync, statSync } from "node:fs";
import { Fault } from "../../fault.ts";
import { errorText } from "../../lib/disk/disk.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { LogCatalog } from "../../types.ts";
import { type AppliedLog, applyLog, type LogsPort } from "./apply-log.ts";
import { type LogSpec, parseLogSpec, specBytesMax } from "./log-spec.ts";

/** Returns no logs without a file. @throws Fault "config" if it cannot be read, or is not valid */
export function readInitFile(path: string | undefined): readonly LogSpec[] {
  if (path === undefined) return [];
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > specBytesMax)
      throw new Fault("config", { message: `it is larger than ${specBytesMax} bytes` });
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const why = cause instanceof Fault ? cause.message : errorText(cause);
    throw new Fault("config", { message: `--init-file ${path} cannot be read: ${why}`, cause });
  }
  return parseLogSpec(text, `--init-file ${path}`);
}

export interface InitLogsOptions {
  readonly specs: readonly LogSpec[];
  readonly logs: Pick<LogCatalog, "open" | "change">;
  /** True while this node leads. */
  readonly leads: () => boolean;
  /** Calls back when this may have changed. The returned function ends that. */
  readonly onChange: (listener: () => void) => () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The wait after the first attempt that fails; it doubles up to the longest one. */
const retryMs = { first: 1_000, most: 30_000 };

export class InitLogs implements Disposable {
  readonly #options: InitLogsOptions;
  readonly #port: LogsPort;
  readonly #stopListening: () => void;
  /** The logs that are still to be applied, with the reason why the last attempt failed. */
  readonly #left: Map<LogSpec, string>;
  #running = false;
  #timer: Timer | undefined;
  #waitMs = retryMs.first;
  #closed = false;

  constructor(options: InitLogsOptions) {
    this.#options = options;
    this.#left = new Map(options.specs.map((spec) => [spec, ""]));
    this.#port = portOf(options.logs);
    this.#stopListening = options.onChange(() => this.#begin());
    this.#begin();
  }

  /** How far it is, for the readiness of the node; undefined when all is done. */
  get note(): string | undefined {
    const total = this.#options.specs.length;
    if (this.#left.size === 0) return undefined;
    const failed = [...this.#left].find(([, why]) => why !== "");
    const done = `${total - this.#left.size} of ${total} logs of --init-file are applied`;
    if (failed !== undefined) return `${done}; "${failed[0].name}": ${failed[1]}`;
    return this.#options.leads() ? done : `${done}; the leader applies its own file`;
  }

  #begin(): void {
    if (this.#running || this.#closed || this.#timer !== undefined || this.#left.size === 0) return;
    if (!this.#options.leads()) return;
    this.#running = true;
    void this.#applyAll().finally(() => {
      this.#running = false;
      if (this.#closed || this.#left.size === 0) return;
      this.#timer = this.#options.clock.after(this.#waitMs, () => {
        this.#timer = undefined;
        this.#begin();
      });
      this.#waitMs = Math.min(2 * this.#waitMs, retryMs.most);
    });
  }

  async #applyAll(): Promise<void> {
    const { leads, log } = this.#options;
    for (const [spec, before] of [...this.#left]) {
      if (this.#closed || !leads()) return;
      try {
        this.#applied(await applyLog(this.#port, spec));
        this.#left.delete(spec);
      } catch (reason) {
        const fault = Fault.from(reason);
        if (fault.kind === "bad-request") {
          // The file must be changed: a time of expiry that has passed stays in the past.
          this.#left.delete(spec);
          log.warn({ err: fault, name: spec.name }, "log of --init-file refused");
          continue;
        }
        this.#left.set(spec, fault.message);
        if (fault.message !== before)
          log.warn({ err: fault, name: spec.name }, "log of --init-file not applied");
      }
    }
    if (this.#left.size === 0) log.info({ logs: this.#options.specs.length }, "--init-file applied");
  }

  #applied({ result, ...facts }: AppliedLog): void {
    if (result !== "unchanged") this.#options.log.info(facts, `log of --init-file ${result}`);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#stopListening();
  }
}

/** The logs as this node has them while it leads. */
const portOf = (logs: InitLogsOptions["logs"]): LogsPort => ({
  async find(name) {
    try {
      const { id, settings } = await logs.open({ name }).info({ mode: "linearizable" });
      return { id, settings };
    } catch (reason) {
      if (reason instanceof Fault && reason.kind === "not-found") return undefined;
      throw reason;
    }
  },
  async create(name, settings) {
    await logs.change({ kind: "create", name, settings }, { forward: false });
  },
  async update(name, id, settings) {
    await logs.change({ kind: "update", log: { name, id: Number(id) }, settings }, { forward: false });
  },
});

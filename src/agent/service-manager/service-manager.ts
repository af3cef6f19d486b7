/**
 * Tells the service manager (systemd, `Type=notify`) what the node does, as sd_notify(3) describes:
 *
 *   STATUS=…      why the node is not ready yet, or not ready any more; `systemctl status` shows it
 *   READY=1       once, when the node is ready for the first time
 *   WATCHDOG=1    every half of WATCHDOG_USEC, from a timer of the event loop: it stops when the loop is stuck
 *   STOPPING=1    when the node begins to stop
 *
 * A notification that could not be sent is sent again after a pause, with later ones in the same datagram. The pauses double up
 * to 10 s, because a service manager that is restarted listens again. A failure that lasts is logged once.
 */
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { NotifySocket } from "./notify-socket.ts";

export interface ServiceManagerOptions {
  /** NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** Opens the socket at this address; undefined if that is not possible. */
  readonly open: (address: string) => NotifySocket | undefined;
  readonly logger: Pick<Logger, "warn" | "info">;
  readonly clock: Pick<Clock, "after">;
  /** Why the node is not ready; empty if it is. */
  readonly reasons: () => readonly string[];
  /** Calls back when the reasons may have changed. The returned function ends that. */
  readonly onChange: (listener: () => void) => () => void;
}

const retryMs = { first: 100, most: 10_000 };
/** A failure is logged when so many attempts in a row have failed: after 1.5 s. */
const loggedAfter = 5;
/** systemd shows one line. */
const statusLengthMax = 200;

export class ServiceManager implements Disposable {
  readonly #options: ServiceManagerOptions;
  readonly #socket: NotifySocket | undefined;
  readonly #watchdogMs: number | undefined;
  /** Lines that have not been sent, by their name. */
  readonly #unsent = new Map<string, string>();
  #stopListening: () => void = () => undefined;
  #status = "";
  #isStopping = false;
  #retry: Timer | undefined;
  /** Attempts in a row that failed. */
  #failures = 0;
  #watchdog: Timer | undefined;

  /** Sends the status from now on. Does nothing if no service manager listens. */
  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    const address = options.environment["NOTIFY_SOCKET"];
    this.#socket = address === undefined ? undefined : options.open(address);
    this.#watchdogMs = watchdogMs(options);
    if (this.#socket === undefined) return;
    this.#stopListening = options.onChange(() => this.#showReasons());
    this.#showReasons();
  }

  /** The node is ready for the first time. The watchdog counts from now on. */
  ready(): void {
    if (this.#isStopping) return;
    this.#notify("READY", "1");
    this.#beat();
  }

  /** The node begins to stop. */
  stopping(): void {
    this.#isStopping = true;
    this.#notify("STOPPING", "1");
    this.#show("stopping");
  }

  [Symbol.dispose](): void {
    this.#stopListening();
    this.#retry?.cancel();
    this.#watchdog?.cancel();
    this.#socket?.[Symbol.dispose]();
  }

  #beat(): void {
    if (this.#watchdogMs === undefined) return;
    this.#notify("WATCHDOG", "1");
    this.#watchdog?.cancel();
    this.#watchdog = this.#options.clock.after(this.#watchdogMs / 2, () => this.#beat());
  }

  #showReasons(): void {
    if (!this.#isStopping) this.#show(this.#options.reasons().join("; ") || "ready");
  }

  #show(status: string): void {
    const line = status.replace(/\p{Cc}+/gu, " ").slice(0, statusLengthMax);
    if (line === this.#status) return;
    this.#status = line;
    this.#notify("STATUS", line);
  }

  #notify(name: string, value: string): void {
    if (this.#socket === undefined) return;
    this.#unsent.set(name, value);
    this.#flush(this.#socket);
  }

  #flush(socket: NotifySocket): void {
    const { clock, logger, environment } = this.#options;
    this.#retry?.cancel();
    const lines = [...this.#unsent].map(([name, value]) => `${name}=${value}`);
    const why = socket.send(lines.join("\n"));
    if (why === undefined) {
      if (this.#failures >= loggedAfter) logger.info({}, "the service manager takes notifications again");
      this.#failures = 0;
      this.#unsent.clear();
      return;
    }
    if (++this.#failures === loggedAfter) {
      const address = environment["NOTIFY_SOCKET"];
      logger.warn({ address, why }, "the service manager takes no notifications, trying again");
    }
    const waitMs = Math.min(retryMs.most, retryMs.first * 2 ** Math.min(this.#failures - 1, 20));
    this.#retry = clock.after(waitMs, () => this.#flush(socket));
  }
}

/** How long systemd waits for WATCHDOG=1, milliseconds; undefined if it does not wait for this process. */
function watchdogMs({ environment, pid }: Pick<ServiceManagerOptions, "environment" | "pid">) {
  const { WATCHDOG_USEC: micros = "", WATCHDOG_PID: watched } = environment;
  if (watched !== undefined && watched !== String(pid)) return undefined;
  return /^[1-9]\d{0,15}$/.test(micros) ? Number(micros) / 1_000 : undefined;
}

/**
 * Watches the validity of the node's own certificates: a log line at the start and every day, a gauge, and the reason
 * why the node is not ready.
 */
import type { Logger, Metrics } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import { oneLine } from "./refusal-log.ts";
import type { TlsMaterial } from "./tls-files.ts";

/** A certificate that the node presents. */
export interface CertificateInUse {
  readonly use: "server" | "peer";
  readonly subject: string;
  readonly begins: Date;
  readonly expires: Date;
}

const dayMs = 24 * 3_600_000;
const warningMs = 30 * dayMs;

export interface CertificateValidityOptions {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** What the node presents now. */
  readonly inUse: () => readonly CertificateInUse[];
}

export class CertificateValidity implements Disposable {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #inUse: () => readonly CertificateInUse[];
  readonly #endGauge: () => void;
  #nextReport: Timer | undefined;

  /** Adds the gauge. report() must be called to begin the daily lines. */
  constructor({ log, metrics, clock, inUse }: CertificateValidityOptions) {
    this.#log = log;
    this.#clock = clock;
    this.#inUse = inUse;
    this.#endGauge = metrics.gauge(
      "tailrace.tls.certificate.expiry",
      { description: "Time until the node's own certificate expires", unit: "s" },
      () =>
        inUse().map(({ use, expires }) => ({
          value: (expires.getTime() - clock.wallMs()) / 1_000,
          attributes: { use },
        })),
    );
  }

  /** Logs certificates that are not valid or expire soon, now and every day from now on. */
  report(): void {
    this.#nextReport?.cancel();
    this.#nextReport = this.#clock.after(dayMs, () => this.report());
    const nowMs = this.#clock.wallMs();
    for (const inUse of this.#inUse()) {
      const leftMs = inUse.expires.getTime() - nowMs;
      if (leftMs <= 0) {
        this.#log.error(inUse, "the node's own certificate has expired");
      } else if (inUse.begins.getTime() > nowMs) {
        this.#log.error(inUse, "the node's own certificate is not valid yet");
      } else if (leftMs < warningMs) {
        this.#log.warn(inUse, "the node's own certificate expires soon");
      }
    }
  }

  /** Why clients and peers refuse the node's certificate now, if they do. */
  get problem(): string | undefined {
    const nowMs = this.#clock.wallMs();
    for (const { use, begins, expires } of this.#inUse()) {
      if (expires.getTime() <= nowMs) return `the ${use} certificate expired on ${expires.toISOString()}`;
      if (begins.getTime() > nowMs)
        return `the ${use} certificate is not valid until ${begins.toISOString()}`;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#nextReport?.cancel();
    this.#endGauge();
  }
}

export const certificateInUse = (use: "server" | "peer", { certificate }: TlsMaterial): CertificateInUse => ({
  use,
  subject: oneLine(certificate.subject),
  begins: certificate.validFromDate,
  expires: certificate.validToDate,
});

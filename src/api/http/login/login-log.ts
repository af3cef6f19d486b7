/**
 * Logs and counts logins. Anybody can cause a failed one, so at most ten of them are logged each second. No line has a token, a code or a
 * cookie.
 */
import type { Fault, FaultKind } from "../../../fault.ts";
import type { Counter, Logger, Metrics } from "../../../lib/telemetry.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import { RateGate } from "../../../lib/time/rate-gate.ts";

/**
 * "refused": because of what the client sent, or because there is no provider. "failed": the provider or the cluster does not answer, or there
 * are too many logins.
 */
type Outcome = "ok" | "refused" | "failed";
export type LoginMethod = "provider" | "token";

const refusals: ReadonlySet<FaultKind> = new Set<FaultKind>([
  "unauthenticated",
  "permission-denied",
  "bad-request",
  "too-large",
  "not-found",
  "canceled",
]);
const linesPerSecond = 10;
const reasonCharsMax = 200;

export interface LoginLogOptions {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Pick<Clock, "monotonicMs">;
}

export class LoginLog {
  readonly #options: LoginLogOptions;
  readonly #gate = new RateGate(linesPerSecond);

  constructor(options: LoginLogOptions) {
    this.#options = options;
    // Each series begins at 0, so that the first failed login counts as an increase.
    for (const method of ["provider", "token"] as const)
      for (const outcome of ["ok", "refused", "failed"] as const) this.#counter(method, outcome);
  }

  /** A user has logged in. `token` is the id of the token. */
  succeeded(
    method: LoginMethod,
    facts: { readonly subject: string; readonly peer: string; readonly token?: string | undefined },
  ): void {
    this.#counter(method, "ok").add(1);
    this.#options.log.info({ ...facts, method }, "logged in");
  }

  failed(method: LoginMethod, fault: Fault, peer: string): void {
    this.#counter(method, refusals.has(fault.kind) ? "refused" : "failed").add(1);
    if (!this.#gate.pass(this.#options.clock.monotonicMs())) return;
    const unlogged = this.#gate.takeDropped();
    this.#options.log.warn(
      {
        method,
        peer,
        kind: fault.kind,
        ...(fault.facts.reason === undefined ? {} : { reason: fault.facts.reason }),
        why: fault.message.slice(0, reasonCharsMax),
        ...(unlogged > 0 ? { unlogged } : {}),
      },
      "a login failed",
    );
  }

  #counter(method: LoginMethod, outcome: Outcome): Counter {
    return this.#options.metrics.counter("tailrace.logins", {
      description: "Logins of browsers",
      unit: "{login}",
      attributes: { method, outcome },
    });
  }
}

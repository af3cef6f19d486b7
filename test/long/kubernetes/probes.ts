/** The probes of a container, with the rules of the kubelet. */
import { setTimeout as pause } from "node:timers/promises";
import type { Container, Probe } from "../../support/deploy/manifests.ts";

export interface ProbeOptions {
  readonly container: Pick<Container, "ports" | "startupProbe" | "livenessProbe" | "readinessProbe">;
  readonly address: string;
  readonly signal: AbortSignal;
  readonly onReady: (isReady: boolean) => void;
  /** A probe has failed too often: the container is to be ended. */
  readonly onFailed: (probe: "startup" | "liveness") => void;
  readonly onLive: (isLive: boolean) => void;
}

/** Probes until the signal is aborted. Liveness and readiness begin when the startup probe has succeeded once. */
export async function runProbes(options: ProbeOptions): Promise<void> {
  const { container, signal, onReady, onFailed, onLive } = options;
  const { startupProbe, livenessProbe, readinessProbe } = container;
  if (startupProbe !== undefined && !(await repeat(options, startupProbe, ({ isPassed }) => isPassed))) {
    if (!signal.aborted) onFailed("startup");
    return;
  }
  const isLive = (probe: Probe): Promise<boolean> =>
    repeat(options, probe, ({ isPassed, failures }) => {
      onLive(isPassed);
      if (failures >= probe.failureThreshold) onFailed("liveness");
      return false;
    });
  const isReady = (probe: Probe): Promise<boolean> =>
    repeat(options, probe, ({ isPassed, failures }) => {
      if (isPassed) onReady(true);
      else if (failures >= probe.failureThreshold) onReady(false);
      return false;
    });
  if (readinessProbe === undefined) onReady(true);
  await Promise.all([
    livenessProbe === undefined ? undefined : isLive(livenessProbe),
    readinessProbe === undefined ? undefined : isReady(readinessProbe),
  ]);
}

interface Outcome {
  readonly isPassed: boolean;
  /** Failures in a row. */
  readonly failures: number;
}

/**
 * Probes in the period of the probe until `isOver`. Resolves to true then, and to false if the signal is aborted or, for a
 * startup probe, if it has failed too often.
 */
async function repeat(
  { container, address, signal }: ProbeOptions,
  probe: Probe,
  isOver: (outcome: Outcome) => boolean,
): Promise<boolean> {
  const { httpGet, initialDelaySeconds = 0, periodSeconds, timeoutSeconds, failureThreshold } = probe;
  const { path, port } = httpGet;
  const number =
    typeof port === "number" ? port : container.ports?.find(({ name }) => name === port)?.containerPort;
  if (number === undefined)
    throw new Error(`a probe names the port ${port}, which the container does not have`);
  const isStartup = probe === container.startupProbe;
  const wait = (seconds: number): Promise<void> =>
    pause(seconds * 1_000, undefined, { signal }).catch(() => undefined);
  let failures = 0;
  for (await wait(initialDelaySeconds); !signal.aborted; await wait(periodSeconds)) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutSeconds * 1_000)]);
    const isPassed = await fetch(`http://${address}:${number}${path}`, {
      signal: limit,
      redirect: "manual",
    }).then(
      async (response) => {
        await response.text();
        return response.status >= 200 && response.status < 400;
      },
      () => false,
    );
    if (signal.aborted) return false;
    failures = isPassed ? 0 : failures + 1;
    if (isOver({ isPassed, failures })) return true;
    if (isStartup && failures >= failureThreshold) return false;
  }
  return false;
}

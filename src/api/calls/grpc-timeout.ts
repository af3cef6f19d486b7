/** Parses the header `grpc-timeout` (gRPC over HTTP/2, "Timeout"): up to eight digits and a unit. */

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Returns the timeout in milliseconds, NaN if `value` is malformed. */
export function grpcTimeoutMs(value: string): number {
  const parts = /^(\d{1,8})([HMSmun])$/.exec(value);
  return parts === null ? Number.NaN : Number(parts[1]) * (unitMs[parts[2] as string] as number);
}

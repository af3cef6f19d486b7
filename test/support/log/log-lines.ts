/**
 * A logger that collects its lines.
 */
import type { Logger } from "../../../src/lib/telemetry.ts";

export interface LogLine {
  readonly level: "error" | "warn" | "info" | "debug";
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

export function logLines(): { readonly log: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: LogLine["level"], bound: object) =>
    (facts: object, message: string): void => {
      lines.push({ level, message, facts: { ...bound, ...facts } });
    };
  const make = (bound: object): Logger => ({
    error: at("error", bound),
    warn: at("warn", bound),
    info: at("info", bound),
    debug: at("debug", bound),
    child: (facts) => make({ ...bound, ...facts }),
  });
  return { log: make({}), lines };
}

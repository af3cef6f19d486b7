/**
 * The node's log: pino, one JSON line each, on standard error (standard output belongs to the ready line), written
 * at once so that the last words before a crash are there. On a terminal, pretty, where pino-pretty is installed.
 *
 * Keys and values of records never reach a line: facts of these names are struck out.
 *
 * Never: buffers, prints to standard output.
 */
import { type DestinationStream, type Logger as Pino, pino } from "pino";
import { Fault } from "../fault.ts";
import type { Attributes, Logger } from "../lib/telemetry.ts";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** Default info. */
  readonly level?: LogLevel;
  /** Default: pretty on a terminal where pino-pretty is installed, else json. */
  readonly format?: "json" | "pretty";
  /** On every line. */
  readonly facts?: Attributes;
  /** Default: standard error. */
  readonly destination?: DestinationStream;
}

export interface NodeLogger extends Logger {
  /** Are lines of this level written? */
  enabled(level: LogLevel): boolean;
}

export async function createLogger(options: LoggerOptions = {}): Promise<NodeLogger> {
  const format = options.format ?? (process.stderr.isTTY ? "pretty" : "json");
  const destination =
    (format === "pretty" ? await prettyDestination(options.destination) : undefined) ??
    options.destination ??
    standardError();
  const log = pino(
    {
      level: options.level ?? "info",
      base: options.facts ?? {},
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: (facts) => struck(facts, 0) as typeof facts },
      serializers: { err: errorFacts },
    },
    destination,
  );
  return wrap(log);
}

function wrap(log: Pino): NodeLogger {
  return {
    error: (facts, message) => log.error(facts, message),
    warn: (facts, message) => log.warn(facts, message),
    info: (facts, message) => log.info(facts, message),
    debug: (facts, message) => log.debug(facts, message),
    child: (facts) => wrap(log.child(facts)),
    enabled: (level) => log.isLevelEnabled(level),
  };
}

const secrets: ReadonlySet<string> = new Set(["key", "value", "password"]);
const depthMax = 6;

/** The same facts without what belongs to a record, at any depth; bytes are told by their number. */
function struck(facts: unknown, depth: number): unknown {
  if (facts === null || typeof facts !== "object") return facts;
  if (ArrayBuffer.isView(facts)) return `[${facts.byteLength} bytes]`;
  const isList = Array.isArray(facts);
  if (!isList && Object.getPrototypeOf(facts) !== Object.prototype) return facts; // an Error, a Date: its serializer's
  if (depth === depthMax) return "[deeper]";
  if (isList) return facts.map((item) => struck(item, depth + 1));
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(facts)) {
    kept[name] = secrets.has(name) ? "[redacted]" : struck(value, depth + 1);
  }
  return kept;
}

/** A Fault is weather and needs no stack; anything else is told whole, with its causes. */
export function errorFacts(error: unknown): unknown {
  if (!(error instanceof Fault)) return error instanceof Error ? pino.stdSerializers.err(error) : error;
  const { kind, message, written, facts, cause } = error;
  return {
    type: "Fault",
    kind,
    message,
    written,
    ...facts,
    ...(cause === undefined ? {} : { cause: errorFacts(cause) }),
  };
}

function standardError(): DestinationStream {
  const stream = pino.destination({ dest: 2, sync: true });
  // Whoever read our words has gone; that must not stop the node.
  stream.on("error", () => {});
  return stream;
}

async function prettyDestination(to: DestinationStream | undefined): Promise<DestinationStream | undefined> {
  try {
    const { default: pretty } = await import("pino-pretty");
    const destination = (to as NodeJS.WritableStream | undefined) ?? 2;
    return pretty({ destination, sync: true, colorize: process.stderr.isTTY, ignore: "pid,hostname" });
  } catch {
    return undefined; // It is a development dependency; without it the lines are JSON.
  }
}

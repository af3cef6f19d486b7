/**
 * The node's log: pino, one JSON line per message on standard error, written synchronously so that the last lines before
 * a crash are there. Standard output is reserved for the ready line. On a terminal the format is for people
 * (pretty-line.ts).
 *
 * Facts named `key`, `value` or `password` are redacted. Characters that a terminal interprets or hides are escaped, for
 * example as \u{9b}.
 */
import { type DestinationStream, type Logger as Pino, pino } from "pino";
import type { Attributes, Logger } from "../lib/telemetry.ts";
import { cut, errorFacts } from "./error-facts.ts";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** Default info. */
  readonly level?: LogLevel;
  /** Default: pretty on a terminal, otherwise json. */
  readonly format?: "json" | "pretty";
  /** Facts of every line. */
  readonly facts?: Attributes;
  /** Default: standard error. */
  readonly destination?: DestinationStream;
}

export interface NodeLogger extends Logger {
  /** Returns whether lines of this level are written. */
  enabled(level: LogLevel): boolean;
}

export async function createLogger(options: LoggerOptions = {}): Promise<NodeLogger> {
  const format = options.format ?? (process.stderr.isTTY ? "pretty" : "json");
  const target = options.destination ?? standardError();
  const destination = format === "pretty" ? await prettyDestination(target) : target;
  const log = pino(
    {
      level: options.level ?? "info",
      base: options.facts ?? {},
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: (facts) => redact(facts, 0) as typeof facts },
      serializers: { err: (error) => redact(errorFacts(error), 1) },
    },
    destination,
  );
  return wrap(log);
}

function wrap(log: Pino): NodeLogger {
  return {
    error: (facts, message) => log.error(facts, escapeControls(message)),
    warn: (facts, message) => log.warn(facts, escapeControls(message)),
    info: (facts, message) => log.info(facts, escapeControls(message)),
    debug: (facts, message) => log.debug(facts, escapeControls(message)),
    child: (facts) => wrap(log.child(redact(facts, 0) as object)),
    enabled: (level) => log.isLevelEnabled(level),
  };
}

const secrets: ReadonlySet<string> = new Set(["key", "value", "password"]);
const depthMax = 6;
/** Limits of one text, and of one list or object of facts. */
const textCharsMax = 4096;
const entriesMax = 100;

/** Control and format characters, also those above 127, which JSON does not escape, and Unicode's line ends. */
const unsafeCharacters = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** Escapes the characters that a terminal interprets or hides. */
const escapeControls = (text: string): string =>
  unsafeCharacters.test(text)
    ? text.replaceAll(new RegExp(unsafeCharacters, "gu"), (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`)
    : text;

/** As escapeControls, but keeps line ends: a stack has several lines. */
const escapeLines = (text: string): string => text.split("\n").map(escapeControls).join("\n");

/** Redacts and escapes facts at any depth. Bytes are replaced by their number. */
function redact(facts: unknown, depth: number): unknown {
  if (typeof facts === "string") return escapeControls(cut(facts, textCharsMax));
  if (facts === null || typeof facts !== "object") return facts;
  if (ArrayBuffer.isView(facts)) return `[${facts.byteLength} bytes]`;
  const isList = Array.isArray(facts);
  if (!isList && Object.getPrototypeOf(facts) !== Object.prototype) return facts; // An Error or a Date has a serializer.
  if (depth === depthMax) return "[deeper]";
  if (isList) return facts.slice(0, entriesMax).map((item) => redact(item, depth + 1));
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(facts).slice(0, entriesMax)) {
    if (secrets.has(name)) kept[name] = "[redacted]";
    else if (name === "stack" && typeof value === "string")
      kept[name] = escapeLines(cut(value, textCharsMax));
    else kept[escapeControls(name)] = redact(value, depth + 1);
  }
  return kept;
}

function standardError(): DestinationStream {
  const stream = pino.destination({ dest: 2, sync: true });
  // A closed pipe must not stop the node.
  stream.on("error", () => {});
  return stream;
}

async function prettyDestination(to: DestinationStream): Promise<DestinationStream> {
  const { prettyLine } = await import("./pretty-line.ts");
  const color = process.stderr.isTTY && process.env["NO_COLOR"] === undefined;
  return { write: (line) => to.write(prettyLine(line, color)) };
}

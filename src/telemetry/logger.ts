/**
 * The node's log: pino, one JSON line each, on standard error (standard output belongs to the ready line), written
 * at once so that the last words before a crash are there. On a terminal, for people (pretty.ts).
 *
 * Keys and values of records never reach a line: facts of these names are struck out. Neither does a character that a
 * terminal would obey or not show, whoever sent it: it stands as \u{9b}.
 *
 * Never: buffers, prints to standard output.
 */
import { type DestinationStream, type Logger as Pino, pino } from "pino";
import type { Attributes, Logger } from "../lib/telemetry.ts";
import { cut, errorFacts } from "./error-facts.ts";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** Default info. */
  readonly level?: LogLevel;
  /** Default: pretty on a terminal, else json. */
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
  const plain = options.destination ?? standardError();
  const destination = format === "pretty" ? await prettyDestination(plain) : plain;
  const log = pino(
    {
      level: options.level ?? "info",
      base: options.facts ?? {},
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: (facts) => struck(facts, 0) as typeof facts },
      serializers: { err: (error) => struck(errorFacts(error), 1) },
    },
    destination,
  );
  return wrap(log);
}

function wrap(log: Pino): NodeLogger {
  return {
    error: (facts, message) => log.error(facts, legible(message)),
    warn: (facts, message) => log.warn(facts, legible(message)),
    info: (facts, message) => log.info(facts, legible(message)),
    debug: (facts, message) => log.debug(facts, legible(message)),
    child: (facts) => wrap(log.child(struck(facts, 0) as object)),
    enabled: (level) => log.isLevelEnabled(level),
  };
}

const secrets: ReadonlySet<string> = new Set(["key", "value", "password"]);
const depthMax = 6;
/** Of one text, and of one list or object of facts: a line has a length that can be read. */
const textCharsMax = 4096;
const entriesMax = 100;

/** Control and format characters, also those above 127, which JSON leaves as they are; and Unicode's line ends. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** The same text without characters that a terminal obeys or hides. */
const legible = (text: string): string =>
  unseen.test(text)
    ? text.replaceAll(new RegExp(unseen, "gu"), (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`)
    : text;

/** A stack has lines of its own, and they stay. */
const legibleLines = (text: string): string => text.split("\n").map(legible).join("\n");

/** The same facts without what belongs to a record, at any depth; bytes are told by their number. */
function struck(facts: unknown, depth: number): unknown {
  if (typeof facts === "string") return legible(cut(facts, textCharsMax));
  if (facts === null || typeof facts !== "object") return facts;
  if (ArrayBuffer.isView(facts)) return `[${facts.byteLength} bytes]`;
  const isList = Array.isArray(facts);
  if (!isList && Object.getPrototypeOf(facts) !== Object.prototype) return facts; // an Error, a Date: its serializer's
  if (depth === depthMax) return "[deeper]";
  if (isList) return facts.slice(0, entriesMax).map((item) => struck(item, depth + 1));
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(facts).slice(0, entriesMax)) {
    if (secrets.has(name)) kept[name] = "[redacted]";
    else if (name === "stack" && typeof value === "string")
      kept[name] = legibleLines(cut(value, textCharsMax));
    else kept[legible(name)] = struck(value, depth + 1);
  }
  return kept;
}

function standardError(): DestinationStream {
  const stream = pino.destination({ dest: 2, sync: true });
  // Whoever read our words has gone; that must not stop the node.
  stream.on("error", () => {});
  return stream;
}

async function prettyDestination(to: DestinationStream): Promise<DestinationStream> {
  const { prettyLine } = await import("./pretty.ts");
  const colour = process.stderr.isTTY && process.env["NO_COLOR"] === undefined;
  return { write: (line) => to.write(prettyLine(line, colour)) };
}

/**
 * The facts of an error for a log line, with limits on their number and length.
 *
 * A Fault is expected and has no stack. Errors of the system and aborts have none either: their code or name suffices.
 * Any other error is a bug, and its stack shows where.
 */
import { Fault } from "../fault.ts";

const messageCharsMax = 1024;
const stackCharsMax = 2048;
const factCharsMax = 256;
const factsMax = 16;
const causesMax = 4;
const errorsMax = 4;

type Facts = Record<string, unknown>;

/** Returns the facts of `error` and of its causes. Other values are returned as they are, long text truncated. */
export function errorFacts(error: unknown, depth = 0): unknown {
  if (typeof error === "string") return cut(error, messageCharsMax);
  if (!(error instanceof Error))
    return isForeignObject(error) ? `[${error.constructor?.name ?? "object"}]` : error;
  const facts = error instanceof Fault ? faultFacts(error) : errorObjectFacts(error);
  const { cause } = error;
  if (cause === undefined) return facts;
  return { ...facts, cause: depth + 1 < causesMax ? errorFacts(cause, depth + 1) : "[more causes]" };
}

/** An object of another class can hold anything, so only its class name is logged. */
function isForeignObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.getPrototypeOf(value) !== Object.prototype;
}

function faultFacts({ kind, message, written, facts }: Fault): Facts {
  return { type: "Fault", kind, message: cut(message, messageCharsMax), written, ...scalarFacts(facts) };
}

function errorObjectFacts(error: Error): Facts {
  const own = scalarFacts(error);
  const hasCode = "code" in own || error instanceof DOMException;
  return {
    type: error.name === "Error" ? error.constructor.name : error.name,
    message: cut(error.message, messageCharsMax),
    ...(error instanceof AggregateError ? { errors: errorTexts(error.errors) } : {}),
    ...(hasCode || error.stack === undefined ? {} : { stack: cut(error.stack, stackCharsMax) }),
    ...own,
  };
}

/** Returns the own properties that are strings, numbers or booleans. */
function scalarFacts(object: object): Facts {
  const facts: Facts = {};
  let count = 0;
  for (const [name, value] of Object.entries(object)) {
    // A ConnectError repeats its message.
    if (name === "name" || name === "rawMessage" || !["string", "number", "boolean"].includes(typeof value))
      continue;
    if (++count > factsMax) break;
    facts[name] = typeof value === "string" ? cut(value, factCharsMax) : value;
  }
  return facts;
}

/** Returns a short text of each of several errors. */
function errorTexts(errors: readonly unknown[]): string[] {
  const shown = errors.slice(0, errorsMax).map((error) => cut(String(error), factCharsMax));
  return errors.length > errorsMax ? [...shown, `[${errors.length - errorsMax} more]`] : shown;
}

/** Truncates a text to `charsMax` characters and adds its length. */
export function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}… (${text.length} characters)`;
}

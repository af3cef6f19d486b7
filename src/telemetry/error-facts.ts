/**
 * What a log line says of an error: bounded, whatever was thrown. Pure.
 *
 * A Fault is expected and needs no stack. Neither does an error of the system or an abort: its code or name says what
 * happened. Any other error is a bug, and its stack says where.
 */
import { Fault } from "../fault.ts";

const messageCharsMax = 1024;
const stackCharsMax = 2048;
const factCharsMax = 256;
const factsMax = 16;
const causesMax = 4;
const errorsMax = 4;

type Facts = Record<string, unknown>;

/** The facts of `error` and of its causes. What is not an error is answered as it is, a long text cut. */
export function errorFacts(error: unknown, depth = 0): unknown {
  if (typeof error === "string") return cut(error, messageCharsMax);
  if (!(error instanceof Error)) return isOther(error) ? `[${error.constructor?.name ?? "object"}]` : error;
  const facts = error instanceof Fault ? faultFacts(error) : otherFacts(error);
  const { cause } = error;
  if (cause === undefined) return facts;
  return { ...facts, cause: depth + 1 < causesMax ? errorFacts(cause, depth + 1) : "[more causes]" };
}

/** An object of a class that is not an error's: there is no telling what it holds. */
function isOther(value: unknown): value is object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.getPrototypeOf(value) !== Object.prototype;
}

function faultFacts({ kind, message, written, facts }: Fault): Facts {
  return { type: "Fault", kind, message: cut(message, messageCharsMax), written, ...plain(facts) };
}

function otherFacts(error: Error): Facts {
  const own = plain(error);
  const hasCode = "code" in own || error instanceof DOMException;
  return {
    type: error.name === "Error" ? error.constructor.name : error.name,
    message: cut(error.message, messageCharsMax),
    ...(error instanceof AggregateError ? { errors: each(error.errors) } : {}),
    ...(hasCode || error.stack === undefined ? {} : { stack: cut(error.stack, stackCharsMax) }),
    ...own,
  };
}

/** The properties of its own that are text, numbers and truths. */
function plain(object: object): Facts {
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

/** One line's worth of each of several errors. */
function each(errors: readonly unknown[]): string[] {
  const shown = errors.slice(0, errorsMax).map((error) => cut(String(error), factCharsMax));
  return errors.length > errorsMax ? [...shown, `[${errors.length - errorsMax} more]`] : shown;
}

/** At most so many characters of a text, and how many there were. */
export function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}… (${text.length} characters)`;
}

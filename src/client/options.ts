/** Checks option objects. Applications in JavaScript can pass any value. */
import { Fault } from "../fault.ts";

/**
 * Returns the options; an empty object for `undefined` and null.
 * @throws Fault "bad-request" for a value that is not an object
 */
export function optionsOf<T extends object>(options: T | null | undefined): Partial<T> {
  if (options === undefined || options === null) return {};
  if (typeof options === "object" || typeof options === "function") return options;
  throw new Fault("bad-request", { message: `options must be an object, not a ${typeof options}` });
}

/**
 * Returns the signal; `undefined` for null.
 * @throws Fault "bad-request" for a value that is not an AbortSignal
 */
export function signalOf(signal: AbortSignal | null | undefined): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined;
  // Not instanceof: a signal from another realm, such as an iframe, has a class of its own.
  if (typeof signal.addEventListener === "function" && typeof signal.throwIfAborted === "function")
    return signal;
  throw new Fault("bad-request", { message: "the option signal is not an AbortSignal" });
}

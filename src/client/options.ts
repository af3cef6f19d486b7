/** The options of a call, checked: programs in JavaScript may hand over anything. Throws Fault "bad-request". */
import { Fault } from "../fault.ts";

/** `undefined` and null are no options. */
export function optionsOf<T extends object>(options: T | null | undefined): Partial<T> {
  if (options === undefined || options === null) return {};
  if (typeof options === "object" || typeof options === "function") return options;
  throw new Fault("bad-request", { message: `options are an object, not a ${typeof options}` });
}

/** `undefined` and null are no signal. */
export function signalOf(signal: AbortSignal | null | undefined): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined;
  // Of whatever realm: a page's frames and tests have classes of their own.
  if (typeof signal.addEventListener === "function" && typeof signal.throwIfAborted === "function")
    return signal;
  throw new Fault("bad-request", { message: "the option signal is not an AbortSignal" });
}

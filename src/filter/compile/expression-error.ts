/** What is wrong with the text of a filter, and where. */
import { Fault } from "../../fault.ts";

/**
 * Returns Fault "bad-request" with the facts field and, where there is a place, character: how many characters of the expression
 * come before it.
 */
export function expressionError(why: string, character?: number): Fault {
  const place = character === undefined ? "" : ` at character ${character}`;
  const facts = character === undefined ? { field: "filter" } : { field: "filter", character };
  return new Fault("bad-request", { message: `the filter is not valid${place}: ${why}`, facts });
}

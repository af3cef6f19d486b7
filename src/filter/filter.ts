/** A compiled filter. It has no state of its own: many readers share it. */
import { isCelError } from "@bufbuild/cel";
import type { RecordCursor } from "../log/mod.ts";
import type { ByteCondition } from "./compile/byte-conditions.ts";
import type { Pattern } from "./evaluate/pattern.ts";
import { RecordVariables, type Variables } from "./evaluate/record-variables.ts";
import { meter } from "./evaluate/work-meter.ts";

export interface FilterParts {
  readonly text: string;
  /** Decides on the bytes of a record, before the rest. */
  readonly bytes: ByteCondition | undefined;
  /** The rest of the condition. */
  readonly evaluate: ((variables: Variables) => unknown) | undefined;
  readonly patterns: ReadonlyMap<string, Pattern>;
}

/** "too-costly": the evaluation would take too long and has no result. The record counts as one that does not match. */
export type Verdict = boolean | "too-costly";

const variables = new RecordVariables();

export class Filter {
  readonly text: string;
  readonly #parts: FilterParts;

  constructor(parts: FilterParts) {
    this.text = parts.text;
    this.#parts = parts;
  }

  /** True if records are not decoded: the condition is about keys, headers and offsets alone. */
  get isOnBytes(): boolean {
    return this.#parts.evaluate === undefined;
  }

  /** Evaluates the condition for the record at the cursor. An evaluation that ends in an error does not match. */
  matches(cursor: RecordCursor): Verdict {
    const { bytes, evaluate, patterns } = this.#parts;
    if (bytes !== undefined && bytes(cursor) !== 1) return false;
    if (evaluate === undefined) return true;
    meter.begin(patterns);
    variables.begin(cursor);
    const result = evaluated(evaluate);
    variables.end();
    return meter.isSpent ? "too-costly" : result === true;
  }
}

/** Errors are results here. Their stacks would take most of the time. */
function evaluated(evaluate: (variables: Variables) => unknown): unknown {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const result = evaluate(variables);
    return isCelError(result) ? undefined : result;
  } catch {
    return undefined;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/**
 * Counts the work of one evaluation in units of about 10 ns, so that no record takes the event loop for long. What a function
 * costs is known before it runs: it depends on the sizes of its arguments. So the same record with the same expression always
 * costs the same, whatever else the node does, except that a regular expression costs less once its states are known.
 */

/** A regular expression that counts its work. */
export interface TextPattern {
  test(text: string): boolean;
}

/** Units of one evaluation, about 6 ms. The costs of what is counted differ: the worst condition that is known takes 20 ms. */
const evaluationUnitsMax = 600_000;

/** Thrown by charge(). The evaluation does not end in a result then. */
const tooMuchWork = new Error("the evaluation costs too much");

export class WorkMeter {
  #left = 0;
  /** The regular expressions of the filter that is being evaluated, by their text. */
  patterns: ReadonlyMap<string, TextPattern> = new Map();

  begin(patterns: ReadonlyMap<string, TextPattern>, units = evaluationUnitsMax): void {
    this.#left = units;
    this.patterns = patterns;
  }

  /** @throws an error once the units of the evaluation are used up, then in each call */
  charge(units: number): void {
    this.#left -= units;
    if (this.#left < 0) throw tooMuchWork;
  }

  get isSpent(): boolean {
    return this.#left < 0;
  }
}

/** The meter of the running evaluation: an evaluation is synchronous, so there is one. */
export const meter: WorkMeter = new WorkMeter();

/**
 * The rules of a policy for one object: a log's name, or a prefix. Most objects have few rules, which are compared one
 * after the other. An object with many (`*`) has them by subject.
 */
import type { PolicyLine } from "./policy.ts";

/** More rules than this are kept by subject. */
const listedMax = 8;

export class ObjectRules {
  /** In the order of the policy, while there are at most `listedMax`. */
  #listed: PolicyLine[] = [];
  #bySubject: Map<string, PolicyLine[]> | undefined;
  #firstLine = Number.POSITIVE_INFINITY;

  /** Adds a rule: its line comes after those that were added before. */
  add(line: PolicyLine): void {
    this.#firstLine = Math.min(this.#firstLine, line.line);
    if (this.#bySubject === undefined && this.#listed.length < listedMax) {
      this.#listed.push(line);
      return;
    }
    if (this.#bySubject === undefined) {
      this.#bySubject = new Map();
      for (const one of this.#listed) addTo(this.#bySubject, one);
      this.#listed = [];
    }
    addTo(this.#bySubject, line);
  }

  /**
   * Returns the first rule that gives the action to one of `names`, if it is before `before`, or else `before`.
   * @param anyAction the action `*` of a rule is every action
   */
  firstFor(
    names: ReadonlySet<string>,
    action: string,
    anyAction: boolean,
    before: PolicyLine | undefined,
  ): PolicyLine | undefined {
    if (before !== undefined && before.line < this.#firstLine) return before;
    const covers = ({ fields }: PolicyLine): boolean =>
      fields[2] === action || (anyAction && fields[2] === "*");
    if (this.#bySubject === undefined) {
      return earlier(
        before,
        this.#listed.find((line) => names.has(line.fields[0] ?? "") && covers(line)),
      );
    }
    let first = before;
    if (names.size < this.#bySubject.size) {
      for (const name of names) first = earlier(first, this.#bySubject.get(name)?.find(covers));
    } else {
      for (const [subject, lines] of this.#bySubject) {
        if (names.has(subject)) first = earlier(first, lines.find(covers));
      }
    }
    return first;
  }
}

/** Keeps the first line of each action, so that a decision does not depend on the number of duplicates. */
function addTo(bySubject: Map<string, PolicyLine[]>, line: PolicyLine): void {
  const [subject = "", , action] = line.fields;
  const lines = bySubject.get(subject);
  if (lines === undefined) bySubject.set(subject, [line]);
  else if (!lines.some(({ fields }) => fields[2] === action)) lines.push(line);
}

const earlier = (one: PolicyLine | undefined, other: PolicyLine | undefined): PolicyLine | undefined =>
  one === undefined || (other !== undefined && other.line < one.line) ? other : one;

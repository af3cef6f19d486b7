/**
 * The rules of a policy, compiled for the two common models: the default one and that of *Distributed Services with Go*
 * (`matcherForm` in `model-shape.ts`).
 *
 *   name   → the rules for it, by subject
 *   prefix → the rules for it, by subject, in a prefix tree
 *   subject → action → the objects of its rules
 *
 * Casbin evaluates each rule for each decision: 2 ms at 1,000 rules. Here a decision looks at the rules for the name and
 * for its prefixes, whose subject is the caller or a role of the caller. Casbin with `logMatch` is the oracle of the tests:
 * the decisions and the rules behind them are the same.
 */
import { YieldPoints } from "../lib/time/yield-points.ts";
import type { MatcherForm } from "./model-shape.ts";
import { ObjectRules } from "./object-rules.ts";
import type { PolicyLine } from "./policy.ts";
import { PrefixTree } from "./prefix-tree.ts";
import { RoleGraph } from "./role-graph.ts";

/** Most names that are kept in the sets of `#namesOf`. */
const keptNamesMax = 100_000;

export class PermissionTree {
  readonly #form: MatcherForm;
  readonly #names = new Map<string, ObjectRules>();
  readonly #prefixes = new PrefixTree<ObjectRules>();
  readonly #objects = new Map<string, Map<string, string[]>>();
  readonly #roles = new RoleGraph();
  /** Subject → itself and its roles. Full, it is cleared. */
  readonly #reached = new Map<string, ReadonlySet<string>>();
  #reachedNames = 0;

  /** Compiles the `p` and `g` lines of a policy. It pauses in between, so that it does not hold the event loop. */
  static async of(lines: readonly PolicyLine[], form: MatcherForm): Promise<PermissionTree> {
    const tree = new PermissionTree(form);
    const yieldPoints = new YieldPoints();
    for (const line of lines) {
      tree.#add(line);
      await yieldPoints.next();
    }
    return tree;
  }

  private constructor(form: MatcherForm) {
    this.#form = form;
  }

  #add(line: PolicyLine): void {
    const [subject = "", object = "", action = ""] = line.fields;
    if (line.kind === "g") {
      this.#roles.link(subject, object);
      return;
    }
    this.#rulesFor(object).add(line);
    let byAction = this.#objects.get(subject);
    if (byAction === undefined) {
      byAction = new Map();
      this.#objects.set(subject, byAction);
    }
    const objects = byAction.get(action);
    if (objects === undefined) byAction.set(action, [object]);
    else objects.push(object);
  }

  #rulesFor(object: string): ObjectRules {
    if (this.#form.prefixes && object.endsWith("*")) {
      return this.#prefixes.getOrAdd(object.slice(0, -1), () => new ObjectRules());
    }
    const rules = this.#names.get(object) ?? new ObjectRules();
    this.#names.set(object, rules);
    return rules;
  }

  /** Returns the first rule that allows it, or undefined when none does. */
  ruleFor(subject: string, object: string, action: string): PolicyLine | undefined {
    const names = this.#namesOf(subject);
    const { anyAction } = this.#form;
    let first = this.#names.get(object)?.firstFor(names, action, anyAction, undefined);
    for (const rules of this.#prefixes.of(object)) first = rules.firstFor(names, action, anyAction, first);
    return first;
  }

  /** Returns whether a rule gives the action to the subject, on whatever object. */
  mayOnSome(subject: string, action: string): boolean {
    for (const _ of this.#objectsOf(subject, action)) return true;
    return false;
  }

  /** Names, and prefixes with a `*` at the end, on which the subject may do the action. Can have duplicates. */
  patternsOf(subject: string, action: string): readonly string[] {
    const patterns = [...this.#objectsOf(subject, action)].flat();
    // Where objects are compared for equality, no log has a name with a wildcard.
    return this.#form.prefixes ? patterns : patterns.filter((object) => !object.endsWith("*"));
  }

  *#objectsOf(subject: string, action: string): Iterable<readonly string[]> {
    for (const name of this.#namesOf(subject)) {
      const byAction = this.#objects.get(name);
      const objects = byAction?.get(action);
      if (objects !== undefined) yield objects;
      const ofAny = this.#form.anyAction ? byAction?.get("*") : undefined;
      if (ofAny !== undefined) yield ofAny;
    }
  }

  /** The subject itself and its roles: the subjects of the rules that are about it. */
  #namesOf(subject: string): ReadonlySet<string> {
    const kept = this.#reached.get(subject);
    if (kept !== undefined) return kept;
    const names = this.#form.roles ? this.#roles.reachedFrom(subject) : new Set([subject]);
    if (names.size === 1) return names;
    if (this.#reachedNames + names.size > keptNamesMax) {
      this.#reached.clear();
      this.#reachedNames = 0;
    }
    this.#reached.set(subject, names);
    this.#reachedNames += names.size;
    return names;
  }
}

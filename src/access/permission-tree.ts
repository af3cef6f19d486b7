/**
 * The rules of a policy, compiled for the two common models: the default one and that of *Distributed Services with Go*
 * (`matcherForm` in `model-shape.ts`).
 *
 *   name   → the rules for it, by subject
 *   prefix → the rules for it, by subject, in a prefix tree
 *   subject → action → the objects of its rules, as a list of name-patterns.ts
 *
 * Casbin evaluates each rule for each decision: 2 ms at 1,000 rules. Here a decision looks at the rules for the name and
 * for its prefixes, whose subject is the caller or a role of the caller. Casbin with `logMatch` is the oracle of the tests:
 * the decisions and the rules behind them are the same. Where the model compares objects for equality, only the object `*`
 * is more than a name: it is every log there too.
 */
import { YieldPoints } from "../lib/time/yield-points.ts";
import type { MatcherForm } from "./model-shape.ts";
import { addPattern, sortPatterns, unionOf } from "./name-patterns.ts";
import { ObjectRules } from "./object-rules.ts";
import type { PolicyLine } from "./policy.ts";
import { PrefixTree } from "./prefix-tree.ts";
import { RoleGraph } from "./role-graph.ts";

/** Most names that are kept in the sets of `#namesOf`, and most objects in the lists of `patternsOf`. */
const keptNamesMax = 100_000;
/** Every log. */
const everyLog = "*";

export class PermissionTree {
  readonly #form: MatcherForm;
  readonly #names = new Map<string, ObjectRules>();
  readonly #prefixes = new PrefixTree<ObjectRules>();
  readonly #objects = new Map<string, Map<string, string[]>>();
  readonly #roles = new RoleGraph();
  /** Subject → itself and its roles. Full, it is cleared. */
  readonly #reached = new Map<string, ReadonlySet<string>>();
  #reachedNames = 0;
  /** Subject and action → the union of the lists of the subject and its roles. Full, it is cleared. */
  readonly #unions = new Map<string, readonly string[]>();
  #unionPatterns = 0;

  /** Compiles the `p` and `g` lines of a policy. It pauses in between, so that it does not hold the event loop. */
  static async of(lines: readonly PolicyLine[], form: MatcherForm): Promise<PermissionTree> {
    const tree = new PermissionTree(form);
    const yieldPoints = new YieldPoints();
    const byObject = new Map<string, PolicyLine[]>();
    for (const line of lines) {
      tree.#add(line);
      const [, object = ""] = line.fields;
      if (line.kind === "g" || !tree.#isPattern(object)) continue;
      const same = byObject.get(object);
      if (same === undefined) byObject.set(object, [line]);
      else same.push(line);
      await yieldPoints.next();
    }
    for (const object of await sortPatterns([...byObject.keys()])) {
      for (const line of byObject.get(object)!) tree.#addObject(line);
      await yieldPoints.next();
    }
    return tree;
  }

  private constructor(form: MatcherForm) {
    this.#form = form;
  }

  #add(line: PolicyLine): void {
    const [subject = "", object = ""] = line.fields;
    if (line.kind === "g") {
      this.#roles.link(subject, object);
      return;
    }
    this.#rulesFor(object).add(line);
  }

  /** False for an object that is no name of a log and covers none. */
  #isPattern(object: string): boolean {
    return this.#form.prefixes || object === everyLog || !object.endsWith("*");
  }

  /** Adds the object of a rule to those of its subject. Objects are added in order. */
  #addObject({ fields }: PolicyLine): void {
    const [subject = "", object = "", action = ""] = fields;
    let byAction = this.#objects.get(subject);
    if (byAction === undefined) {
      byAction = new Map();
      this.#objects.set(subject, byAction);
    }
    const objects = byAction.get(action) ?? [];
    byAction.set(action, objects);
    addPattern(objects, object);
  }

  #rulesFor(object: string): ObjectRules {
    if (object === everyLog || (this.#form.prefixes && object.endsWith("*"))) {
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

  /**
   * Names, and prefixes with a `*` at the end, on which the subject may do the action: in the order of their bytes, and none
   * that another one covers.
   */
  patternsOf(subject: string, action: string): readonly string[] {
    const key = `${action} ${subject}`;
    const kept = this.#unions.get(key);
    if (kept !== undefined) return kept;
    const lists = [...this.#objectsOf(subject, action)];
    if (lists.length === 1) return lists[0]!;
    const union = unionOf(lists);
    if (this.#unionPatterns + union.length > keptNamesMax) {
      this.#unions.clear();
      this.#unionPatterns = 0;
    }
    this.#unions.set(key, union);
    this.#unionPatterns += union.length + 1;
    return union;
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

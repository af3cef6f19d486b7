/**
 * The rules of a policy in maps, for the two common models: the default one and that of *Distributed Services with Go*.
 *
 *   matcher := subject "&&" object "&&" action
 *   subject := "r.sub == p.sub" | "g(r.sub, p.sub)"
 *   object  := "r.obj == p.obj" | '(p.obj == "*" || globMatch(r.obj, p.obj))'
 *   action  := "r.act == p.act" | '(p.act == "*" || r.act == p.act)'
 *
 * Casbin evaluates each rule for each decision: 2 ms at 1,000 rules. Here a decision looks at the rules of the subject
 * and of its roles. Casbin is the oracle of the tests: the decisions and the rules behind them are the same.
 */
import { YieldPoints } from "../lib/time/yield-points.ts";
import type { PolicyLine } from "./policy.ts";
import { RoleGraph } from "./role-graph.ts";

/** What a recognized matcher compares and how. */
export interface MatcherForm {
  /** Subjects inherit the rights of their roles (`g`). */
  readonly roles: boolean;
  /** Objects are patterns; `*` is every object. */
  readonly globs: boolean;
  /** The action `*` is every action. */
  readonly anyAction: boolean;
}

/** Returns the form of a matcher as Casbin spells it (`r_sub` for `r.sub`), or undefined when it is another one. */
export function matcherForm(matcher: string): MatcherForm | undefined {
  const [subject, object, action, ...more] = matcher.replaceAll(" ", "").split("&&");
  const roles = subject === "g(r_sub,p_sub)";
  const globs = object === '(p_obj=="*"||globMatch(r_obj,p_obj))';
  const anyAction = action === '(p_act=="*"||r_act==p_act)';
  const known =
    (roles || subject === "r_sub==p_sub") &&
    (globs || object === "r_obj==p_obj") &&
    (anyAction || action === "r_act==p_act");
  return known && more.length === 0 ? { roles, globs, anyAction } : undefined;
}

/** Does `object` match the glob `pattern`? Casbin's own `globMatch`. */
export type GlobMatch = (object: string, pattern: string) => boolean;

interface Pattern {
  /** What every matching object begins with. Most patterns are rejected by it. */
  readonly prefix: string;
  readonly glob: string;
  readonly line: PolicyLine;
}

interface SubjectRules {
  readonly byObject: Map<string, PolicyLine[]>;
  readonly patterns: Pattern[];
}

export class RuleIndex {
  readonly #form: MatcherForm;
  readonly #globMatch: GlobMatch;
  readonly #subjects = new Map<string, SubjectRules>();
  readonly #roles = new RoleGraph();

  /** Indexes the `p` and `g` lines of a policy. It pauses in between, so that it does not hold the event loop. */
  static async of(lines: readonly PolicyLine[], form: MatcherForm, globMatch: GlobMatch): Promise<RuleIndex> {
    const index = new RuleIndex(form, globMatch);
    const yieldPoints = new YieldPoints();
    for (const line of lines) {
      index.#add(line);
      await yieldPoints.next();
    }
    return index;
  }

  private constructor(form: MatcherForm, globMatch: GlobMatch) {
    this.#form = form;
    this.#globMatch = globMatch;
  }

  #add(line: PolicyLine): void {
    const [subject = "", object = ""] = line.fields;
    if (line.kind === "g") {
      this.#roles.link(subject, object);
      return;
    }
    let rules = this.#subjects.get(subject);
    if (rules === undefined) {
      rules = { byObject: new Map(), patterns: [] };
      this.#subjects.set(subject, rules);
    }
    if (this.#form.globs && object !== "*" && !plainName.test(object)) {
      rules.patterns.push({ prefix: literalPrefix(object), glob: object, line });
      return;
    }
    const same = rules.byObject.get(object);
    if (same === undefined) rules.byObject.set(object, [line]);
    else same.push(line);
  }

  /** Returns the first rule that allows it, or undefined when none does. */
  ruleFor(subject: string, object: string, action: string): PolicyLine | undefined {
    let first: PolicyLine | undefined;
    for (const name of this.#form.roles ? this.#roles.reachedFrom(subject) : [subject]) {
      const rules = this.#subjects.get(name);
      if (rules === undefined) continue;
      first = earlier(first, this.#named(rules, object, action));
      if (this.#form.globs && object !== "*") first = earlier(first, this.#named(rules, "*", action));
      first = earlier(first, this.#matching(rules, object, action));
    }
    return first;
  }

  #named(rules: SubjectRules, object: string, action: string): PolicyLine | undefined {
    return rules.byObject.get(object)?.find((line) => this.#covers(line, action));
  }

  #matching(rules: SubjectRules, object: string, action: string): PolicyLine | undefined {
    for (const { prefix, glob, line } of rules.patterns) {
      if (!object.startsWith(prefix) || !this.#covers(line, action)) continue;
      if (this.#globMatch(object, glob)) return line;
    }
    return undefined;
  }

  #covers({ fields }: PolicyLine, action: string): boolean {
    return fields[2] === action || (this.#form.anyAction && fields[2] === "*");
  }
}

/** Names that a glob matches by equality alone: no wildcard, no slash, no leading dot, nothing to escape. */
const plainName = /^[A-Za-z0-9_:@-][A-Za-z0-9._:@-]*$/;

/** The characters before the first one that may mean something to a glob. */
const literalPrefix = (glob: string): string => /^[A-Za-z0-9_:@-]*/.exec(glob)?.[0] ?? "";

const earlier = (one: PolicyLine | undefined, other: PolicyLine | undefined): PolicyLine | undefined =>
  one === undefined || (other !== undefined && other.line < one.line) ? other : one;

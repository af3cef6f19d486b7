/** Reads from a parsed Casbin model which lines its policies have, and how it compares them. */
import { Fault } from "../fault.ts";
import type { LineShape, Shape } from "./policy.ts";

/** The part of Casbin's model that is used here. */
export interface CasbinModel {
  readonly model: ReadonlyMap<string, ReadonlyMap<string, { tokens: string[]; value: string }>>;
}

/** What a recognized matcher compares and how. */
export interface MatcherForm {
  /** Subjects inherit the rights of their roles (`g`). */
  readonly roles: boolean;
  /** Objects are names or prefixes of names (`log-match.ts`). */
  readonly prefixes: boolean;
  /** The action `*` is every action. */
  readonly anyAction: boolean;
}

export interface ModelShape {
  readonly lines: Shape;
  /** The kinds of lines (`g`, `g2`) that give a role to the subject of a request. */
  readonly roleKinds: ReadonlySet<string>;
  /** Defined for the models that `permission-tree.ts` decides. */
  readonly form: MatcherForm | undefined;
}

/**
 * Reads the definitions of a model.
 *
 * @throws Fault "config" unless a request is (subject, object, action)
 */
export function modelShape(casbin: CasbinModel, modelName: string): ModelShape {
  const section = (name: string) =>
    casbin.model.get(name) ?? new Map<string, { tokens: string[]; value: string }>();
  const asked = section("r").get("r")?.tokens ?? [];
  const matchers = [...section("m").values()].map(({ value }) => value).join("\n");
  const lines = new Map<string, LineShape>();
  for (const [kind, { tokens }] of section("p")) lines.set(kind, ruleShape(kind, tokens, asked, matchers));
  for (const [kind, { value }] of section("g")) lines.set(kind, { fields: value.split(",").length });
  if (asked.length !== 3 || lines.size === 0) {
    throw new Fault("config", { message: `${modelName} must define r as subject, object, action, and p` });
  }
  const calls = matchers.replaceAll(" ", "");
  const roleKinds = new Set(
    [...section("g").keys()].filter((kind) => calls.includes(`${kind}(${asked[0]},`)),
  );
  const common =
    is(section("r"), "r", "sub, obj, act") &&
    is(section("p"), "p", "sub, obj, act") &&
    is(section("e"), "e", "some(where (p_eft == allow))") &&
    (section("g").size === 0 || is(section("g"), "g", "_, _")) &&
    section("m").size === 1;
  return { lines, roleKinds, form: common ? matcherForm(section("m").get("m")?.value ?? "") : undefined };
}

function ruleShape(
  kind: string,
  tokens: readonly string[],
  asked: readonly string[],
  matchers: string,
): LineShape {
  const action = `${kind}${asked[2]?.slice("r".length)}`;
  // Functions match patterns. An action that is compared for equality must be an existing one.
  const strict =
    matchers.includes(`${asked[2]} == ${action}`) &&
    !new RegExp(`\\w\\([^()]*\\b${action}\\b`).test(matchers);
  const object = `${kind}${asked[1]?.slice("r".length)}`;
  const isPattern = matchers.replaceAll(" ", "").includes(`logMatch(${asked[1]},${object})`);
  const at = tokens.indexOf(action);
  return {
    fields: tokens.length,
    action: at < 0 ? undefined : at,
    strict,
    logPattern: isPattern ? tokens.indexOf(object) : undefined,
  };
}

/**
 * Returns the form of a matcher as Casbin spells it (`r_sub` for `r.sub`), or undefined when it is another one.
 *
 *   matcher := subject "&&" object "&&" action
 *   subject := "r.sub == p.sub" | "g(r.sub, p.sub)"
 *   object  := "r.obj == p.obj" | "logMatch(r.obj, p.obj)"
 *   action  := "r.act == p.act" | '(p.act == "*" || r.act == p.act)'
 */
function matcherForm(matcher: string): MatcherForm | undefined {
  const [subject, object, action, ...more] = matcher.replaceAll(" ", "").split("&&");
  const roles = subject === "g(r_sub,p_sub)";
  const prefixes = object === "logMatch(r_obj,p_obj)";
  const anyAction = action === '(p_act=="*"||r_act==p_act)';
  const known =
    (roles || subject === "r_sub==p_sub") &&
    (prefixes || object === "r_obj==p_obj") &&
    (anyAction || action === "r_act==p_act");
  return known && more.length === 0 ? { roles, prefixes, anyAction } : undefined;
}

/** True when a section defines `key` as `value` and nothing else. */
const is = (section: ReadonlyMap<string, { value: string }>, key: string, value: string): boolean =>
  section.size === 1 && section.get(key)?.value.replaceAll(" ", "") === value.replaceAll(" ", "");

/** Reads from a parsed Casbin model which lines its policies have, and how it compares them. */
import { Fault } from "../fault.ts";
import type { LineShape, Shape } from "./policy.ts";
import { type MatcherForm, matcherForm } from "./rule-index.ts";

/** The part of Casbin's model that is used here. */
export interface CasbinModel {
  readonly model: ReadonlyMap<string, ReadonlyMap<string, { tokens: string[]; value: string }>>;
}

export interface ModelShape {
  readonly lines: Shape;
  /** The kinds of lines (`g`, `g2`) that give a role to the subject of a request. */
  readonly roleKinds: ReadonlySet<string>;
  /** Defined for the models that `rule-index.ts` decides. */
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
  const at = tokens.indexOf(action);
  return { fields: tokens.length, action: at < 0 ? undefined : at, strict };
}

/** True when a section defines `key` as `value` and nothing else. */
const is = (section: ReadonlyMap<string, { value: string }>, key: string, value: string): boolean =>
  section.size === 1 && section.get(key)?.value.replaceAll(" ", "") === value.replaceAll(" ", "");

/**
 * A model and a policy, compiled by Casbin into decisions. Casbin is loaded only here and only when there is a
 * policy. Rules are immutable: a changed policy is a new Rules.
 *
 * Never: caches (see decision-cache), reads files.
 */
import { Fault } from "../fault.ts";
import type { Action } from "./identity.ts";
import { defaultModel } from "./model.ts";
import {
  type LineShape,
  lineText,
  type PolicyLine,
  parsePolicy,
  type Shape,
  speaksOfPeer,
} from "./policy.ts";
import { RoleGraph } from "./role-graph.ts";

export interface Rules {
  readonly speaksOfPeer: boolean;
  allows(subject: string, object: string, action: Action): boolean;
  /** The rule that allows it, as `policy.csv:3: p, root, *, produce`; undefined where none does. */
  ruleFor(subject: string, object: string, action: Action): string | undefined;
}

export interface PolicySource {
  readonly policy: string;
  /** How the policy is called in explanations and errors. */
  readonly policyName?: string;
  /** Default: the built-in model. */
  readonly model?: string;
  readonly modelName?: string;
}

/** Compiles them. Throws Fault "config" naming the file, and the line where one is wrong. */
export async function compileRules(source: PolicySource): Promise<Rules> {
  const { policyName = "policy", modelName = "model" } = source;
  // An editor that writes a file anew empties it first; that moment must not take everybody's rights away.
  if (source.policy.trim() === "") {
    throw new Fault("config", { message: `${policyName} is empty, a comment alone would deny everything` });
  }
  const casbin = await import("casbin");
  let model: ReturnType<typeof casbin.newModelFromString>;
  try {
    model = casbin.newModelFromString(source.model ?? defaultModel);
  } catch (cause) {
    throw new Fault("config", { message: `${modelName} is not a Casbin model`, cause });
  }
  const shape = shapeOf(model, modelName);
  const lines = parsePolicy(source.policy, shape, policyName);
  try {
    for (const { kind, fields } of lines) model.addPolicy(kind.slice(0, 1), kind, [...fields]);
    const enforcer = await casbin.newEnforcer(model);
    for (const kind of model.model.get("g")?.keys() ?? []) {
      enforcer.setNamedRoleManager(kind, new RoleGraph());
    }
    await enforcer.buildRoleLinks();
    // A matcher that cannot be evaluated should fail here, not at the first call: with nobody, and with each rule's
    // own words, which come as far as the rule can take them.
    enforcer.enforceSync("", "", "");
    for (const [subject = "", object = "", action = ""] of firstOfEachKind(lines)) {
      enforcer.enforceSync(subject, object, action);
    }
    return {
      speaksOfPeer: speaksOfPeer(lines, shape),
      allows(subject, object, action) {
        try {
          return enforcer.enforceSync(subject, object, action);
        } catch {
          return false; // A matcher that cannot tell does not allow.
        }
      },
      ruleFor(subject, object, action) {
        const [allowed, rule] = enforcer.enforceExSync(subject, object, action);
        return allowed ? ruleName(lines, rule, policyName) : undefined;
      },
    };
  } catch (cause) {
    throw new Fault("config", { message: `${modelName} and ${policyName} do not make rules`, cause });
  }
}

/** The fields of the first rule of each kind. */
const firstOfEachKind = (lines: readonly PolicyLine[]): (readonly string[])[] => [
  ...new Map(
    lines
      .filter(({ kind }) => kind.startsWith("p"))
      .reverse()
      .map(({ kind, fields }) => [kind, fields]),
  ).values(),
];

interface CasbinModel {
  readonly model: ReadonlyMap<string, ReadonlyMap<string, { tokens: string[]; value: string }>>;
}

/** The model's definitions. Throws Fault "config" unless a request is (subject, object, action). */
function shapeOf({ model }: CasbinModel, modelName: string): Shape {
  const shape = new Map<string, LineShape>();
  const [, , asked] = model.get("r")?.get("r")?.tokens ?? [];
  const matchers = [...(model.get("m")?.values() ?? [])].map(({ value }) => value).join("\n");
  for (const [kind, { tokens }] of model.get("p") ?? []) {
    const action = `${kind}${asked?.slice("r".length)}`;
    // Patterns are matched by functions; what is compared as it stands can be checked as it stands.
    const strict =
      matchers.includes(`${asked} == ${action}`) && !new RegExp(`\\w\\([^()]*\\b${action}\\b`).test(matchers);
    const at = tokens.indexOf(action);
    shape.set(kind, { fields: tokens.length, action: at < 0 ? undefined : at, strict });
  }
  for (const [kind, { value }] of model.get("g") ?? []) shape.set(kind, { fields: value.split(",").length });
  if (model.get("r")?.get("r")?.tokens.length !== 3 || shape.size === 0) {
    throw new Fault("config", {
      message: `${modelName} must define r as subject, object, action, and p`,
    });
  }
  return shape;
}

function ruleName(lines: readonly PolicyLine[], rule: readonly string[], policyName: string): string {
  const found = lines.find(
    ({ kind, fields }) =>
      kind.startsWith("p") &&
      fields.length === rule.length &&
      fields.every((field, at) => field === rule[at]),
  );
  return found === undefined ? policyName : `${policyName}:${found.line}: ${lineText(found)}`;
}

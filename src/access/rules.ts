/**
 * A model and a policy, compiled by Casbin into decisions. Casbin is loaded only here and only when there is a
 * policy. Rules are immutable: a changed policy is a new Rules.
 *
 * Never: caches (see decision-cache), reads files.
 */
import { Fault } from "../fault.ts";
import type { Action } from "./identity.ts";
import { defaultModel } from "./model.ts";
import { lineText, type PolicyLine, parsePolicy, type Shape, speaksOfPeer } from "./policy.ts";

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
  const lines = parsePolicy(source.policy, shapeOf(model, modelName), policyName);
  try {
    for (const { kind, fields } of lines) model.addPolicy(kind.slice(0, 1), kind, [...fields]);
    const enforcer = await casbin.newEnforcer(model);
    await enforcer.buildRoleLinks();
    enforcer.enforceSync("", "", ""); // A matcher that cannot be evaluated should fail here, not at the first call.
    return {
      speaksOfPeer: speaksOfPeer(lines),
      allows: (subject, object, action) => enforcer.enforceSync(subject, object, action),
      ruleFor(subject, object, action) {
        const [allowed, rule] = enforcer.enforceExSync(subject, object, action);
        return allowed ? ruleName(lines, rule, policyName) : undefined;
      },
    };
  } catch (cause) {
    throw new Fault("config", { message: `${modelName} and ${policyName} do not make rules`, cause });
  }
}

/** The model's definitions. Throws Fault "config" unless a request is (subject, object, action). */
function shapeOf(
  model: { readonly model: ReadonlyMap<string, ReadonlyMap<string, { tokens: string[]; value: string }>> },
  modelName: string,
): Shape {
  const shape = new Map<string, number>();
  for (const [kind, { tokens }] of model.model.get("p") ?? []) shape.set(kind, tokens.length);
  for (const [kind, { value }] of model.model.get("g") ?? []) shape.set(kind, value.split(",").length);
  if (model.model.get("r")?.get("r")?.tokens.length !== 3 || shape.size === 0) {
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

/**
 * A model and a policy, compiled into decisions. Rules are immutable: a changed policy is a new Rules.
 *
 * Casbin is loaded only here and only when there is a policy. It reads the model. The two common models are then decided
 * by `permission-tree.ts`, every other one by Casbin itself (`casbin-rules.ts`).
 */
import { Fault } from "../fault.ts";
import { casbinRules } from "./casbin-rules.ts";
import type { Action } from "./identity.ts";
import { defaultModel } from "./model.ts";
import { modelShape } from "./model-shape.ts";
import { PermissionTree } from "./permission-tree.ts";
import { lineText, mentionsPeer, type PolicyLine, parsePolicy } from "./policy.ts";

export interface Rules {
  readonly mentionsPeer: boolean;
  allows(subject: string, object: string, action: Action): boolean;
  /** False if no object exists on which the subject may do it. */
  mayOnSome(subject: string, action: Action): boolean;
  /** The objects on which the subject may do it, in the grammar of `log-match.ts`. Undefined: not known. */
  patternsOf(subject: string, action: Action): readonly string[] | undefined;
  /** The rule that allows it, as `policy.csv:3: p, root, *, produce`, or undefined if none does. */
  ruleFor(subject: string, object: string, action: Action): string | undefined;
  /** The first line that uses `subject` as the name of a role, as `policy.csv:5: g, alice, writers`. */
  roleLine(subject: string): string | undefined;
}

export interface PolicySource {
  readonly policy: string;
  /** Name of the policy in explanations and errors. Default "policy". */
  readonly policyName?: string;
  /** Default: the built-in model. */
  readonly model?: string;
  readonly modelName?: string;
}

/**
 * Compiles a policy. It pauses in between, so that a long policy does not hold the event loop.
 *
 * @throws Fault "config" that names the file, and the line where one is wrong
 */
export async function compileRules(source: PolicySource): Promise<Rules> {
  const { policyName = "policy", modelName = "model" } = source;
  // An editor that rewrites a file empties it first. That must not remove all permissions for a moment.
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
  const shape = modelShape(model, modelName);
  const lines = await parsePolicy(source.policy, shape.lines, policyName);
  const decide =
    shape.form === undefined
      ? await casbinRules(casbin, model, lines, { modelName, policyName })
      : await PermissionTree.of(lines, shape.form);
  const roles = rolesIn(lines, shape.roleKinds);
  const named = (line: PolicyLine | undefined): string | undefined => {
    if (line === undefined) return undefined;
    return line.line === 0 ? policyName : `${policyName}:${line.line}: ${lineText(line)}`;
  };
  return {
    mentionsPeer: mentionsPeer(lines, shape.lines),
    allows: (subject, object, action) =>
      !roles.has(subject) && decide.ruleFor(subject, object, action) !== undefined,
    patternsOf: (subject, action) => (roles.has(subject) ? [] : decide.patternsOf(subject, action)),
    mayOnSome: (subject, action) => !roles.has(subject) && decide.mayOnSome(subject, action),
    ruleFor: (subject, object, action) =>
      roles.has(subject) ? undefined : named(decide.ruleFor(subject, object, action)),
    roleLine: (subject) => named(roles.get(subject)),
  };
}

/**
 * Returns role → the first line that gives it to a subject. A certificate with the name of a role gets no rights: they
 * are for the role's members, and an operator who names a role does not think of certificates.
 */
function rolesIn(
  lines: readonly PolicyLine[],
  roleKinds: ReadonlySet<string>,
): ReadonlyMap<string, PolicyLine> {
  const roles = new Map<string, PolicyLine>();
  for (const line of lines) {
    const role = line.fields[1];
    if (role !== undefined && roleKinds.has(line.kind) && !roles.has(role)) roles.set(role, line);
  }
  return roles;
}

/**
 * Decisions by Casbin, for models that `permission-tree.ts` does not know. A decision evaluates every rule, so the number of
 * rules has a limit: at the limit a decision takes about 10 ms.
 */
import type * as Casbin from "casbin";
import { Fault } from "../fault.ts";
import { YieldPoints } from "../lib/time/yield-points.ts";
import { logMatch } from "./log-match.ts";
import type { PolicyLine } from "./policy.ts";
import { RoleGraph } from "./role-graph.ts";

/** Most lines of a policy for a model that only Casbin can decide. */
export const casbinLinesMax = 5_000;

export interface CasbinRules {
  /** Returns the first rule that allows it, or undefined when none does. */
  ruleFor(subject: string, object: string, action: string): PolicyLine | undefined;
  /** Always true: what a matcher compares is not known, so only a decision about one object can say more. */
  mayOnSome(subject: string, action: string): boolean;
  /** Always undefined, for the same reason. */
  patternsOf(subject: string, action: string): readonly string[] | undefined;
}

/**
 * Compiles the lines with Casbin.
 *
 * @throws Fault "config" when there are more than `casbinLinesMax` lines, or the matcher cannot be evaluated
 */
export async function casbinRules(
  casbin: typeof Casbin,
  model: Casbin.Model,
  lines: readonly PolicyLine[],
  names: { readonly modelName: string; readonly policyName: string },
): Promise<CasbinRules> {
  const { modelName, policyName } = names;
  if (lines.length > casbinLinesMax) {
    throw new Fault("config", {
      message: `${policyName} has ${lines.length} lines; with the matcher of ${modelName} at most ${casbinLinesMax} are possible, with the built-in model there is no limit`,
      facts: { lines: lines.length, linesMax: casbinLinesMax },
    });
  }
  try {
    const yieldPoints = new YieldPoints();
    for (const { kind, fields } of lines) {
      model.addPolicy(kind.slice(0, 1), kind, [...fields]);
      await yieldPoints.next();
    }
    const enforcer = await casbin.newEnforcer(model);
    await enforcer.addFunction("logMatch", logMatch);
    for (const kind of model.model.get("g")?.keys() ?? []) {
      enforcer.setNamedRoleManager(kind, new RoleGraph());
    }
    await enforcer.buildRoleLinks();
    // A matcher that cannot be evaluated must fail here, not at the first call. So it is evaluated with empty values,
    // and with the values of the first rule of each kind, which reach all of its terms.
    enforcer.enforceSync("", "", "");
    for (const [subject = "", object = "", action = ""] of firstOfEachKind(lines)) {
      enforcer.enforceSync(subject, object, action);
    }
    return {
      ruleFor(subject, object, action) {
        try {
          const [allowed, rule] = enforcer.enforceExSync(subject, object, action);
          return allowed ? lineOf(lines, rule) : undefined;
        } catch {
          return undefined; // A matcher that fails does not allow.
        }
      },
      mayOnSome: () => true,
      patternsOf: () => undefined,
    };
  } catch (cause) {
    throw new Fault("config", { message: `${modelName} and ${policyName} cannot be evaluated`, cause });
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

/** The line of a rule that Casbin names. A rule that is not found (an effect without one) is a line without fields. */
function lineOf(lines: readonly PolicyLine[], rule: readonly string[]): PolicyLine {
  const found = lines.find(
    ({ kind, fields }) =>
      kind.startsWith("p") &&
      fields.length === rule.length &&
      fields.every((field, at) => field === rule[at]),
  );
  return found ?? { kind: "effect", fields: [], line: 0 };
}

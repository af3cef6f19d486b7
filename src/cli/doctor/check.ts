/** What `tailrace doctor` found, and its exit status. Pure. */
import { exitStatus } from "../exit-status.ts";

/** A warning costs speed or safety later; a problem prevents a node or a client from working. */
export type Grade = "ok" | "warning" | "problem" | "skipped";

export interface Check {
  readonly name: string;
  readonly grade: Grade;
  /** What was found, or why it was not checked. */
  readonly found: string;
  /** What to do about a warning or a problem. */
  readonly todo?: string;
}

export const ok = (name: string, found: string): Check => ({ name, grade: "ok", found });
export const skipped = (name: string, found: string): Check => ({ name, grade: "skipped", found });
export const warning = (name: string, found: string, todo: string): Check => ({
  name,
  grade: "warning",
  found,
  todo,
});
export const problem = (name: string, found: string, todo: string): Check => ({
  name,
  grade: "problem",
  found,
  todo,
});

/** The worst grade of the checks: "ok" if none is a warning or a problem. */
export function worstOf(checks: readonly Check[]): "ok" | "warning" | "problem" {
  const has = (grade: Grade): boolean => checks.some((check) => check.grade === grade);
  return has("problem") ? "problem" : has("warning") ? "warning" : "ok";
}

/** 0 if nothing is wrong, 6 if there are only warnings, 1 if there is a problem. */
export const statusOfChecks = (checks: readonly Check[]): number =>
  ({ ok: exitStatus.done, warning: exitStatus.warnings, problem: exitStatus.failed })[worstOf(checks)];

const nameWidth = 14;

/** One line for each check, and one below it that says what to do. */
export function checksText(checks: readonly Check[]): string {
  const lines = checks.flatMap(({ name, grade, found, todo }) => [
    `${grade.padEnd(8)} ${name.padEnd(nameWidth)} ${found}`,
    ...(todo === undefined ? [] : [`${" ".repeat(9 + nameWidth)} to do: ${todo}`]),
  ]);
  return lines.map((line) => `${line}\n`).join("");
}

/** What the user may do, as WhoAmI says it. The server decides anyway: this is for what the page offers. Pure. */

export interface AllowedLogs {
  readonly action: string;
  /** Names, and prefixes that end with `*`. */
  readonly logs: readonly string[];
  /** There are more than are listed. */
  readonly more: boolean;
  /** None are listed, because the policy decides only about a log that is named. */
  readonly unknown: boolean;
}

export interface Permissions {
  /** Those on the log `default`. */
  readonly actions: readonly string[];
  /** Those on named logs. */
  readonly logs: readonly AllowedLogs[];
}

/** Returns false only if the server would refuse it. `log` is empty for `default`. */
export function isAllowed({ actions, logs }: Permissions, action: string, log: string): boolean {
  if (log === "") return actions.includes(action);
  return logs.some(
    (allowed) =>
      allowed.action === action &&
      (allowed.more || allowed.unknown || allowed.logs.some((pattern) => covers(pattern, log))),
  );
}

const covers = (pattern: string, log: string): boolean =>
  pattern.endsWith("*") ? log.startsWith(pattern.slice(0, -1)) : log === pattern;

/** How the settings of a log differ from those that a request states, as text. Pure. */
import { settingFields, settingKeys } from "../../lib/named-log-settings.ts";
import type { NamedLogSettings } from "../../types.ts";

/**
 * Returns each setting that is not as stated, with the names of the contract: `ttl_ms is not set, stated was 5`. Empty if all are.
 * `keys` are the settings that count, by default all: one that is not stated must not be set.
 */
export function settingDifferences(
  stated: NamedLogSettings,
  found: NamedLogSettings,
  keys: readonly (keyof NamedLogSettings)[] = settingKeys,
): string {
  const differing = keys.filter((key) => stated[key] !== found[key]);
  const texts = differing.map((key) => {
    const [is, was] = [found[key], stated[key]];
    return `${settingFields[key]} is ${is ?? "not set"}, stated was ${was ?? "none"}`;
  });
  return texts.join("; ");
}

/** What a leader checks about the settings and the owner of a log. Pure. */
import { Fault } from "../../../fault.ts";
import { settingKeys } from "../../../lib/named-log-settings.ts";
import { isOwner, type LogRow, reservedOwnerPrefix, subjectBytesMax, ttlOverMs } from "../../../log/mod.ts";
import type { NamedLogSettings, SettingsChange } from "../../../types.ts";
import { type PresentTime, pastExpiry, pastTtl } from "../log-refusals.ts";

/** @throws Fault "bad-request" */
export function checkOwner(owner: string | undefined): void {
  if (owner === undefined || (isOwner(owner) && !owner.startsWith(reservedOwnerPrefix))) return;
  const message = `the subject of a create has 1 to ${subjectBytesMax} bytes, and no control character at its start`;
  throw new Fault("bad-request", { message });
}

export function sameSettings(one: NamedLogSettings, other: NamedLogSettings): boolean {
  return settingKeys.every((key) => one[key] === other[key]);
}

export function changed(settings: NamedLogSettings, change: SettingsChange): NamedLogSettings {
  const merged = Object.entries({ ...settings, ...change }).filter(([, value]) => value != null);
  return Object.fromEntries(merged) as NamedLogSettings;
}

/** Why a log cannot get these settings, if so: retention would delete it at once. */
export function refusedChange(
  row: LogRow,
  { expiresAtMs, ttlMs }: NamedLogSettings,
  presentTime: () => PresentTime,
): Fault | undefined {
  if (expiresAtMs !== row.settings.expiresAtMs) {
    const expired = refusedExpiry(expiresAtMs, presentTime);
    if (expired !== undefined) return expired;
  }
  if (ttlMs === undefined || ttlMs === row.settings.ttlMs) return undefined;
  const present = presentTime();
  const overMs = ttlOverMs({ ...row, settings: { ...row.settings, ttlMs } }) ?? 0;
  return overMs <= present.nowMs ? pastTtl(row, ttlMs, present) : undefined;
}

/** Why a log cannot get this time of expiry, if so. A clock that is not trusted can refuse it, and deletes nothing. */
export function refusedExpiry(
  expiresAtMs: number | undefined,
  presentTime: () => PresentTime,
): Fault | undefined {
  if (expiresAtMs === undefined) return undefined;
  const present = presentTime();
  return expiresAtMs <= present.nowMs ? pastExpiry(expiresAtMs, present) : undefined;
}

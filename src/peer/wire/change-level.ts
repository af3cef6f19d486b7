/** The level of the members that know a change of a log. Pure. */
import { cursorsLevel, forksLevel, namedLogsLevel } from "../../log/mod.ts";
import type { LogChange } from "../../types.ts";

export const levelOfChange: Readonly<Record<LogChange["kind"], number>> = {
  create: namedLogsLevel,
  update: namedLogsLevel,
  close: namedLogsLevel,
  delete: namedLogsLevel,
  fork: forksLevel,
  touch: forksLevel,
  "commit-cursor": cursorsLevel,
  "delete-cursor": cursorsLevel,
};

/** The parts of the handbook that are generated from the code, by the names that the pages use. */
import { alerts } from "./alerts.ts";
import { commands } from "./commands.ts";
import { exitCodes, faultReasons, faults } from "./faults.ts";
import { logSettings, opsRoutes, routes } from "./http.ts";
import { limits } from "./limits.ts";
import { metrics } from "./metrics.ts";
import { messages, services } from "./proto.ts";
import { settingTables } from "./settings.ts";

export const references: Readonly<Record<string, () => string | Promise<string>>> = {
  routes,
  "ops-routes": opsRoutes,
  "log-settings": logSettings,
  services,
  messages,
  commands,
  settings: settingTables,
  faults,
  "fault-reasons": faultReasons,
  "exit-codes": exitCodes,
  limits,
  metrics,
  alerts,
};

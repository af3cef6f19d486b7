/**
 * Every command: its name, and the file that registers it. Loaded one at a time, since starting is most of what a
 * short command does.
 *
 * Never: runs anything.
 */
import type { Command } from "commander";

export interface CommandFile {
  register(program: Command): void;
}

export const commandFiles: Readonly<Record<string, () => Promise<CommandFile>>> = {
  serve: () => import("./commands/serve.ts"),
  produce: () => import("./commands/produce.ts"),
  consume: () => import("./commands/consume.ts"),
  tail: () => import("./commands/tail.ts"),
  describe: () => import("./commands/describe.ts"),
  trim: () => import("./commands/trim.ts"),
  servers: () => import("./commands/servers.ts"),
  status: () => import("./commands/status.ts"),
  transfer: () => import("./commands/transfer.ts"),
  add: () => import("./commands/add.ts"),
  remove: () => import("./commands/remove.ts"),
  leave: () => import("./commands/leave.ts"),
  members: () => import("./commands/members.ts"),
  event: () => import("./commands/event.ts"),
  query: () => import("./commands/query.ts"),
  keygen: () => import("./commands/keygen.ts"),
  whoami: () => import("./commands/whoami.ts"),
  bench: () => import("./commands/bench.ts"),
  dev: () => import("./commands/dev.ts"),
  config: () => import("./commands/config.ts"),
  verify: () => import("./commands/verify.ts"),
  repair: () => import("./commands/repair.ts"),
  backup: () => import("./commands/backup.ts"),
  restore: () => import("./commands/restore.ts"),
  recover: () => import("./commands/recover.ts"),
  certs: () => import("./commands/certs.ts"),
  acl: () => import("./commands/acl.ts"),
  version: () => import("./commands/version.ts"),
  // biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
  completion: () => import("./completion.ts"),
};

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
  serve: () => import("./serve.ts"),
  produce: () => import("./produce.ts"),
  consume: () => import("./consume.ts"),
  tail: () => import("./tail.ts"),
  describe: () => import("./describe.ts"),
  trim: () => import("./trim.ts"),
  servers: () => import("./servers.ts"),
  status: () => import("./status.ts"),
  transfer: () => import("./transfer.ts"),
  add: () => import("./add.ts"),
  remove: () => import("./remove.ts"),
  leave: () => import("./leave.ts"),
  members: () => import("./members.ts"),
  event: () => import("./event.ts"),
  query: () => import("./query.ts"),
  keygen: () => import("./keygen.ts"),
  whoami: () => import("./whoami.ts"),
  bench: () => import("./bench.ts"),
  dev: () => import("./dev.ts"),
  config: () => import("./config.ts"),
  verify: () => import("./verify.ts"),
  repair: () => import("./repair.ts"),
  backup: () => import("./backup.ts"),
  restore: () => import("./restore.ts"),
  recover: () => import("./recover.ts"),
  certs: () => import("./certs.ts"),
  acl: () => import("./acl.ts"),
  version: () => import("./version.ts"),
  completion: () => import("./completion.ts"),
};

/** `tailrace members`: the members that gossip knows, as one node sees them, `serf` agents included. */
import { type Command, Option } from "commander";
import { MemberSchema } from "../../../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { table } from "../../output/table.ts";
import { jsonLine } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { runCommand } from "../../run-command.ts";

const statuses = ["alive", "suspect", "leaving", "left", "failed"];

interface MembersFlags extends ConnectFlags {
  readonly status?: string;
}

export function register(program: Command): void {
  connectOptions(program.command("members").description("list the members that gossip knows"))
    .addOption(new Option("--status <status>", "only members with this status").choices(statuses))
    .action((flags: MembersFlags) => runCommand("members", () => members(flags)));
}

async function members(flags: MembersFlags): Promise<undefined> {
  const { status } = flags;
  using client = await connect(flags);
  const found = (await client.rpc.cluster.members({})).members.filter(
    (member) => status === undefined || member.status === status,
  );
  if (flags.json) {
    for (const member of found) await print(jsonLine(toPlainJson(MemberSchema, member)));
    return;
  }
  const rows = found.map((member) => [
    member.name,
    member.addr,
    member.status,
    Object.entries(member.tags)
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
  ]);
  await print(table(["name", "address", "status", "tags"], rows));
}

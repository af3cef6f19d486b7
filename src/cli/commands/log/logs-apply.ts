/** `tailrace logs apply -f FILE`: creates and updates the named logs that a file lists. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { AppliedLog, CheckedLogsPort } from "../../../agent/init/apply-log.ts";
import type { LogSpec } from "../../../agent/init/log-spec.ts";
import type { TailraceClient } from "../../../client/mod.ts";
import { Fault } from "../../../fault.ts";
import { errorText } from "../../../lib/disk/disk.ts";
import type { NamedLogSettings } from "../../../types.ts";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { exitStatus, statusOf, usageFault } from "../../exit-status.ts";
import { faultLine } from "../../output/fault-line.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";

interface ApplyFlags extends ConnectFlags {
  readonly file: string;
  readonly dryRun?: true;
}

export function registerApply(logs: Command): void {
  connectOptions(
    logs
      .command("apply")
      .description("create and update the logs that a file lists; it deletes none and can be repeated"),
  )
    .requiredOption(
      "-f, --file <file>",
      "YAML or JSON: logs, then names, then settings as in logs create; - is standard input",
    )
    .option(
      "--dry-run",
      "print the same and change nothing; the leader checks each log by itself, so quotas are checked for one log more",
    )
    .action((flags: ApplyFlags) => runCommand("logs apply", () => apply(flags), "write"));
}

/** Logs that are applied at the same time. */
const atOnce = 16;

/** The status is that of the first log that fails. The others are applied, unless the node cannot be reached. */
async function apply(flags: ApplyFlags): Promise<number> {
  // The parser of YAML and the checks of a node are loaded for this command only.
  const [{ parseLogSpec }, { applyLog, checkLog }] = await Promise.all([
    import("../../../agent/init/log-spec.ts"),
    import("../../../agent/init/apply-log.ts"),
  ]);
  const specs = parseLogSpec(read(flags.file), flags.file === "-" ? "standard input" : flags.file);
  using client = await connect(flags);
  const port = portOf(client);
  const work = flags.dryRun === true ? checkLog : applyLog;
  let status: number = exitStatus.done;
  for (let at = 0; at < specs.length; at += atOnce) {
    const some = specs.slice(at, at + atOnce);
    const results = await Promise.allSettled(some.map((spec) => work(port, spec)));
    for (const [place, result] of results.entries()) {
      if (result.status === "fulfilled") await printApplied(result.value);
      else {
        const fault = await failed(flags, some[place]!, result.reason);
        if (status === exitStatus.done) status = statusOf(fault);
      }
    }
    if (status === exitStatus.unreachable) break;
  }
  return status;
}

async function failed({ file }: ApplyFlags, { name, line }: LogSpec, reason: unknown): Promise<Fault> {
  const { faultOf } = await import("../../../client/mod.ts");
  const fault = faultOf(reason);
  const message = `${file} line ${line}, log "${name}": ${fault.message}`;
  const { kind, facts, written } = fault;
  console.error(faultLine("logs apply", new Fault(kind, { message, facts, written }), "write"));
  return fault;
}

const printApplied = (applied: AppliedLog): Promise<void> | undefined => print(jsonLine(applied));

function read(file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (cause) {
    throw usageFault(`${file} cannot be read: ${errorText(cause)}`);
  }
}

const portOf = ({ logs }: TailraceClient): CheckedLogsPort => ({
  async find(name) {
    try {
      const { id, options } = await logs.get(name);
      return { id, settings: options as NamedLogSettings };
    } catch (reason) {
      if (reason instanceof Fault && reason.kind === "not-found") return undefined;
      throw reason;
    }
  },
  async create(name, settings) {
    await logs.create(name, settings);
  },
  async update(name, id, change) {
    await logs.update(name, change, { id: String(id) });
  },
  checkCreate: (name, settings) => logs.validateCreate(name, settings),
  checkUpdate: (name, id, change) => logs.validateUpdate(name, change, { id: String(id) }),
});

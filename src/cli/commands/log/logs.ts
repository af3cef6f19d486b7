/** `tailrace logs list|create|update|close|delete`: the named logs of a cluster. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { faultOf, type TailraceClient } from "../../../client/mod.ts";
import { type LogInfo, LogInfoSchema } from "../../../gen/log/v1/log_pb.js";
import { defaultLog } from "../../../lib/names/log-name.ts";
import { compareNames } from "../../../lib/names/name-order.ts";
import { checkTerminal, confirmed } from "../../confirm.ts";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { exitStatus, usageFault } from "../../exit-status.ts";
import { namedLog } from "../../log-names.ts";
import {
  fieldOf,
  type SettingFlags,
  settingNames,
  settingOptions,
  settingsOf,
  settingsText,
  textOf,
} from "../../log-settings.ts";
import { print } from "../../output/standard-output.ts";
import { bytesText, table, timeText } from "../../output/table.ts";
import { jsonLine, printable } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { runCommand } from "../../run-command.ts";
import { registerApply } from "./logs-apply.ts";

interface CreateFlags extends ConnectFlags, SettingFlags {
  readonly ifNotExists?: true;
}

interface UpdateFlags extends ConnectFlags, SettingFlags {
  readonly unset: readonly string[];
}

interface ListFlags extends ConnectFlags {
  readonly prefix?: string;
}

interface DeleteFlags extends ConnectFlags {
  readonly yes?: true;
}

const nameHelp = "the name of the log";

export function register(program: Command): void {
  const logs = program.command("logs").description("list, create, change and delete named logs");
  connectOptions(logs.command("list").description("list the logs that you may describe"))
    .option("--prefix <text>", "only names that begin with this")
    .action((flags: ListFlags) => runCommand("logs list", () => list(flags)));
  settingOptions(
    connectOptions(logs.command("create").description("create a log").argument("<name>", nameHelp)),
  )
    .option("--if-not-exists", "succeed if there is a log of this name with the same settings")
    .action((name: string, flags: CreateFlags) =>
      runCommand("logs create", () => create(name, flags), "write"),
    );
  registerChanges(logs);
  registerApply(logs);
}

function registerChanges(logs: Command): void {
  settingOptions(
    connectOptions(
      logs.command("update").description("change the settings of a log").argument("<name>", nameHelp),
    ),
  )
    .addOption(
      new Option("--unset <setting>", "give a setting the value of the cluster again (repeatable)")
        .choices(settingNames)
        .argParser(collectSetting)
        .default([], "none"),
    )
    .action((name: string, flags: UpdateFlags) =>
      runCommand("logs update", () => update(name, flags), "write"),
    );
  connectOptions(
    logs
      .command("close")
      .description("close a log permanently: it takes no more records, and its tails end")
      .argument("<name>", nameHelp),
  ).action((name: string, flags: ConnectFlags) =>
    runCommand("logs close", () => close(name, flags), "write"),
  );
  connectOptions(
    logs
      .command("delete")
      .description("delete a log with all its records; on a terminal it asks for the name again")
      .argument("<name>", nameHelp),
  )
    .option("-y, --yes", "do not ask")
    .action((name: string, flags: DeleteFlags) =>
      runCommand("logs delete", () => remove(name, flags), "write"),
    );
}

/** Adds the value of another --unset. */
function collectSetting(value: string, before: readonly string[]): readonly string[] {
  const name = settingNames.find((known) => known === value);
  if (name === undefined) throw new InvalidArgumentError(`Allowed choices are ${settingNames.join(", ")}.`);
  return [...before, name];
}

async function list(flags: ListFlags): Promise<undefined> {
  const { prefix = "", json } = flags;
  using client = await connect(flags);
  const rows: (string | number)[][] = [];
  const show = async (log: ListedLog): Promise<void> => {
    if (json) await print(jsonLine(log.json()));
    else rows.push(log.row);
  };
  let before = defaultLog.startsWith(prefix) ? await defaultInList(client) : undefined;
  let after = "";
  do {
    const { logs, next } = await client.rpc.logs.listLogs({ prefix, after });
    for (const log of logs) {
      if (before !== undefined && compareNames(defaultLog, log.name) < 0) {
        await show(before);
        before = undefined;
      }
      await show({ row: row(log), json: () => toPlainJson(LogInfoSchema, log) });
    }
    after = next;
  } while (after !== "");
  if (before !== undefined) await show(before);
  if (json) return;
  await print(table(["name", "id", "lowest", "next", "size", "last record", "state", "settings"], rows));
}

/** A log as the list shows it. */
interface ListedLog {
  readonly row: (string | number)[];
  readonly json: () => object;
}

/**
 * The log `default`, which ListLogs does not have: its extent. Describe has the size and the times of all logs together, so none are
 * shown. Undefined if the caller may not describe it.
 */
async function defaultInList(client: Pick<TailraceClient, "rpc">): Promise<ListedLog | undefined> {
  try {
    const { lowestOffset, nextOffset } = await client.rpc.log.describe({});
    const [lowest, next] = [Number(lowestOffset), Number(nextOffset)];
    return {
      row: [defaultLog, "-", lowest, next, "-", "-", "open", "-"],
      json: () => ({ name: defaultLog, lowest_offset: lowest, next_offset: next }),
    };
  } catch (reason) {
    if (faultOf(reason).kind === "permission-denied") return undefined;
    throw reason;
  }
}

function row(log: LogInfo): (string | number)[] {
  const { name, logId, lowestOffset, nextOffset, bytes, lastTimestampMs, closed } = log;
  return [
    name,
    logId,
    Number(lowestOffset),
    Number(nextOffset),
    bytesText(Number(bytes)),
    timeText(Number(lastTimestampMs)),
    closed ? "closed" : "open",
    settingsText(log),
  ];
}

async function create(given: string, flags: CreateFlags): Promise<undefined> {
  const name = namedLog(given);
  const request = { name, settings: settingsOf(flags), ifNotExists: flags.ifNotExists === true };
  using client = await connect(flags);
  const { log, created } = await client.rpc.logs.createLog(request);
  await printLog(log, { created });
}

async function update(given: string, flags: UpdateFlags): Promise<undefined> {
  const name = namedLog(given);
  const stated = settingsOf(flags);
  const set = settingNames.filter((setting) => textOf(flags, setting) !== undefined);
  const both = set.find((setting) => flags.unset.includes(setting));
  if (both !== undefined) throw usageFault(`--${both} is given, and --unset ${both}`);
  const paths = [...new Set([...set, ...flags.unset])].map(fieldOf);
  if (paths.length === 0)
    throw usageFault(`no setting is given: ${settingNames.map((known) => `--${known}`).join(", ")}, --unset`);
  using client = await connect(flags);
  const { log } = await client.rpc.logs.updateLog({
    ...(await statedLog(client, name)),
    settings: stated,
    updateMask: { paths },
  });
  await printLog(log);
}

async function close(given: string, flags: ConnectFlags): Promise<undefined> {
  const name = namedLog(given);
  using client = await connect(flags);
  const { log } = await client.rpc.logs.closeLog(await statedLog(client, name));
  await printLog(log);
}

/** What was shown before the question is what is deleted: the request states its id. */
async function remove(given: string, flags: DeleteFlags): Promise<number> {
  const name = namedLog(given);
  using client = await connect(flags);
  if (flags.yes === true) await client.rpc.logs.deleteLog(await statedLog(client, name));
  else {
    checkTerminal();
    const { id, lowest, next, bytes } = await client.logs.get(name);
    const text = `log "${printable(name)}" (id ${id}) has ${next - lowest} records, ${bytesText(bytes)}`;
    if (!(await confirmed(`${text}. To delete it, type its name: `, name))) {
      console.error("tailrace logs delete: the name was not typed, nothing was deleted");
      return exitStatus.failed;
    }
    await client.logs.delete(name, { id });
  }
  await print(jsonLine({ deleted: name }));
  return exitStatus.done;
}

/**
 * The log as a request states it: with the id that the name has now. A subject that may not describe the log states none.
 * @throws Fault "not-found"
 */
async function statedLog(
  client: Pick<TailraceClient, "log">,
  name: string,
): Promise<{ readonly name: string; readonly logId?: string }> {
  const { logId } = await client.log(name).pinned();
  return logId === undefined ? { name } : { name, logId };
}

async function printLog(log: LogInfo | undefined, more: Record<string, unknown> = {}): Promise<void> {
  await print(jsonLine({ ...(log === undefined ? {} : toPlainJson(LogInfoSchema, log)), ...more }));
}

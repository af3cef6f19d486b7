/** The names of logs and cursors on the command line: the flag --log, and the argument of `tailrace logs`. */
import { type Command, InvalidArgumentError } from "commander";
import { Fault } from "../fault.ts";
import { cursorNameOf } from "../lib/names/cursor-name.ts";
import { defaultLog, namedLogOf } from "../lib/names/log-name.ts";
import { usageFault } from "./exit-status.ts";

export interface LogFlag {
  readonly log?: string;
}

/** Adds --log, which can be given once. */
export const logOption = (command: Command): Command =>
  command.option(
    "--log <name>",
    `the log; default: the log "${defaultLog}", which every cluster has`,
    (name: string, before?: string) => {
      if (before === undefined) return name;
      throw new InvalidArgumentError("This command takes one log. Only tail takes several.");
    },
  );

export interface LogsFlags {
  readonly log?: readonly string[];
  readonly prefix?: string;
}

/** Adds --log, which can be given several times, and --prefix. */
export const logsOptions = (command: Command): Command =>
  command
    .option(
      "--log <name>",
      `the log, or several: --log A --log B; default: the log "${defaultLog}", which every cluster has`,
      (name: string, before: readonly string[] = []) => [...before, name],
    )
    .option("--prefix <text>", "all named logs whose names begin with it, also those that are created later");

/**
 * Returns the logs of --log and --prefix; "default" without a flag.
 * @throws Fault "config" for a text that cannot be the name of a log, a name that is given twice, or both flags
 */
export function logsOf({ log = [], prefix }: LogsFlags): readonly string[] | { readonly prefix: string } {
  if (prefix !== undefined && log.length > 0) throw usageFault("--log and --prefix cannot be combined");
  if (prefix !== undefined) return { prefix };
  const names = log.length === 0 ? [defaultLog] : log;
  for (const name of names) checkedName("--log", name);
  if (new Set(names).size < names.length) throw usageFault("--log names a log twice");
  return names;
}

/**
 * Returns the log of --log; "default" without the flag.
 * @throws Fault "config" for a text that cannot be the name of a log
 */
export const logOf = ({ log }: LogFlag): string => checkedName("--log", log ?? defaultLog);

/**
 * Returns the name of a log that a command creates, changes or deletes.
 * @throws Fault "config" for `default`, and for a text that cannot be a name
 */
export function namedLog(name: string): string {
  if (checkedName("NAME", name) !== defaultLog) return name;
  throw usageFault(`the log "${defaultLog}" cannot be created, changed, closed or deleted`);
}

/** Returns the name of a cursor. @throws Fault "config" for a text that cannot be one */
export function checkedCursor(name: string): string {
  try {
    return cursorNameOf(name);
  } catch (reason) {
    throw usageFault(Fault.from(reason).message);
  }
}

function checkedName(what: string, name: string): string {
  if (name === "") throw usageFault(`${what} must not be empty`);
  try {
    namedLogOf(name);
  } catch (reason) {
    throw usageFault(`${what}: ${Fault.from(reason).message}`);
  }
  return name;
}

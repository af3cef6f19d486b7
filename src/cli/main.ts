/** The command line: finds the command and runs it. The commands are in commands.ts, the exit statuses in exit-status.ts. */
import type { Command, OutputConfiguration } from "commander";
import { version } from "../agent/version.ts";
import { commandFiles } from "./commands.ts";
import { addExamples } from "./examples.ts";
import { exitStatus } from "./exit-status.ts";
import { useLightHeaders } from "./light-headers.ts";
import { meantBy, meantByFlag } from "./other-words.ts";
import { outputRule } from "./output/output-rule.ts";
import { exitWhenOutputCloses } from "./output/standard-output.ts";

/** Runs `tailrace ARGUMENTS` and sets process.exitCode. */
export async function main(args: readonly string[]): Promise<void> {
  const [first, ...flags] = args;
  // A node parses its own flags, so it starts without commander.
  if (first === "serve") return (await import("./commands/node/serve.ts")).serve(flags);
  if (first === "help" && flags[0] === "serve") return main(["serve", "--help"]);
  exitWhenOutputCloses();
  useLightHeaders();
  const { Command, CommanderError } = await import("commander");
  const program = new Command("tailrace")
    .description("a distributed, durable, append-only commit log: curl, the browser and gRPC on one port")
    .version(version, "-v, --version", "print the version")
    .exitOverride()
    .configureOutput(prefixed("tailrace"))
    .showHelpAfterError("(tailrace --help)")
    .configureHelp({ sortSubcommands: false })
    .addHelpText("after", outputRule);
  const named = commandFiles[args[0] ?? ""];
  for (const load of named === undefined ? Object.values(commandFiles) : [named])
    (await load()).register(program);
  for (const command of program.commands) {
    prepare(command);
    addExamples(command);
  }
  try {
    if (args.length === 0) program.help({ error: true });
    await program.parseAsync([...args], { from: "user" });
  } catch (reason) {
    if (!(reason instanceof CommanderError)) throw reason;
    process.exitCode = reason.exitCode === 0 ? exitStatus.done : exitStatus.usage;
  }
}

/** Makes commander throw for wrong usage, with a message that starts like those of all faults. */
function prepare(command: Command, above = "tailrace"): void {
  const words = `${above} ${command.name()}`;
  command.exitOverride().configureOutput(prefixed(words, command)).showHelpAfterError(`(${words} --help)`);
  for (const inner of command.commands) prepare(inner, words);
}

const prefixed = (words: string, command?: Command): OutputConfiguration => ({
  outputError: (text, write) => {
    const meant = otherWord(words, text);
    // A word of other programs that is known means that, and not what is spelled similarly.
    const shown = meant === undefined ? text : text.replace(/^\(Did you mean .*\)\n/m, "");
    const hint = meant === undefined ? logHint(words, text, command) : `(This is ${meant})\n`;
    write(`${shown.replace(/^error: /, `${words}: `)}${hint}`);
  },
});

/** The command or flag that a user of other programs means. */
function otherWord(words: string, text: string): string | undefined {
  const [, kind, typed] = /^error: unknown (command|option) '([^']*)'/.exec(text) ?? [];
  if (typed === undefined) return wordOfDefault(words, text);
  return kind === "command" ? meantBy(words, typed) : meantByFlag(words, typed.replace(/=.*/, ""));
}

/** `tailrace cursors reset NAME` is read as `tailrace cursors list` with the argument "reset", because `list` is the default. */
function wordOfDefault(words: string, text: string): string | undefined {
  const [, typed] = /^error: too many arguments .* but got \d+: ([^ ,]+)[,.]/.exec(text) ?? [];
  return typed === undefined || !words.endsWith(" list") ? undefined : meantBy(words.slice(0, -5), typed);
}

/** What is meant by an argument of a command that takes none, or not this one: mostly the name of a log. */
function logHint(words: string, text: string, command: Command | undefined): string {
  const isArgument = /^error: (too many arguments|command-argument value)/.test(text);
  if (!isArgument || command?.options.every(({ long }) => long !== "--log") !== false) return "";
  return `(A log is named by a flag: ${words} --log NAME)\n`;
}

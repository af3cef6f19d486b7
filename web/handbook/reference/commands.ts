/** The commands of `tailrace`, from the tables of the command line. */
import { type Argument, Command, type Option } from "commander";
import { commandFiles } from "../../../src/cli/commands.ts";
import { examples } from "../../../src/cli/examples.ts";
import { code, plain, table } from "./table.ts";

export async function commands(): Promise<string> {
  const program = new Command("tailrace");
  for (const load of Object.values(commandFiles)) (await load()).register(program);
  return program.commands.flatMap((command) => sections(command, "")).join("\n\n");
}

/** A command and its subcommands. */
function sections(command: Command, above: string): string[] {
  const words = `${above} ${command.name()}`.trim();
  const inner = command.commands.flatMap((one) => sections(one, words));
  return [section(command, words), ...inner];
}

function section(command: Command, words: string): string {
  const { registeredArguments, options } = command;
  const rows = [
    ...registeredArguments.map(argumentRow),
    ...options.filter((one) => !one.hidden).map(optionRow),
  ];
  const usage = [
    `tailrace ${words}`,
    ...registeredArguments.map(argumentText),
    ...(command.commands.length > 0 ? ["COMMAND"] : []),
  ];
  const parts = [
    `## tailrace ${words}`,
    `${plain(capitalized(command.description()))}.`,
    `\`${usage.join(" ")}\``,
  ];
  if (words === "serve") parts.push("The flags are the [settings](settings.md).");
  else if (rows.length > 0) parts.push(table(["argument or flag", "default", "meaning"], rows));
  parts.push(`\`\`\`text\n${(examples[words] ?? []).join("\n")}\n\`\`\``);
  return parts.join("\n\n");
}

const capitalized = (text: string): string => `${text[0]?.toUpperCase()}${text.slice(1)}`;

function argumentText(argument: Argument): string {
  const name = `${argument.name().toUpperCase()}${argument.variadic ? " …" : ""}`;
  return argument.required ? name : `[${name}]`;
}

const argumentRow = (argument: Argument): string[] => [
  code(argumentText(argument)),
  defaultOf(argument),
  `${plain(argument.description)}${choicesOf(argument)}`,
];

const optionRow = (option: Option): string[] => [
  code(option.flags),
  option.mandatory && option.defaultValue === undefined ? "required" : defaultOf(option),
  `${plain(option.description)}${choicesOf(option)}`,
];

function defaultOf({
  defaultValue,
  defaultValueDescription,
}: Pick<Option, "defaultValue" | "defaultValueDescription">): string {
  if (defaultValueDescription !== undefined) return plain(defaultValueDescription);
  const isNone = defaultValue === undefined || defaultValue === false || Array.isArray(defaultValue);
  return isNone ? "" : code(String(defaultValue));
}

const choicesOf = ({ argChoices }: Pick<Option, "argChoices">): string =>
  argChoices === undefined ? "" : ` (${argChoices.join(", ")})`;

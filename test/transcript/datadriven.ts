/**
 * The file format of transcripts: commands with their expected output.
 *
 *   file    := (comment | blank | command)*            comment := "#" text
 *   command := name (" " argument)* input-line* "----" output
 *   argument := key | key "=" value | key "=(" value ("," value)* ")"
 *   output  := line* blank  |  "----" line* "----" "----"       the second form allows blank lines
 */

export interface Argument {
  readonly key: string;
  readonly values: readonly string[];
}

export interface Command {
  /** One-based line number. */
  readonly line: number;
  readonly name: string;
  readonly arguments: readonly Argument[];
  readonly input: string;
  readonly expected: string;
  /** The lines of the expected output, from … to − 1, which a rewrite replaces. */
  readonly from: number;
  readonly to: number;
}

const separator = "----";

export function parse(text: string): Command[] {
  const lines = text.split("\n");
  const commands: Command[] = [];
  for (let at = 0; at < lines.length; at++) {
    const start = at;
    let directive = (lines[at] as string).trim();
    if (directive === "" || directive.startsWith("#")) continue;
    while (directive.endsWith("\\")) directive = `${directive.slice(0, -1).trim()} ${lines[++at]?.trim()}`;
    const input: string[] = [];
    for (at++; at < lines.length && lines[at] !== separator; at++) input.push(lines[at] as string);
    if (at >= lines.length) throw new Error(`line ${start + 1}: no ${separator} after this command`);
    const from = ++at;
    let expected: string[];
    if (lines[at] === separator) {
      while (++at < lines.length && !(lines[at] === separator && lines[at + 1] === separator));
      expected = lines.slice(from + 1, at);
      at += 2;
    } else {
      while (at < lines.length && (lines[at] as string).trim() !== "") at++;
      expected = lines.slice(from, at);
    }
    const [name, ...rest] = splitDirective(directive);
    commands.push({
      line: start + 1,
      name: name as string,
      arguments: rest.map((word) => parseArgument(word, start + 1)),
      input: input.join("\n"),
      expected: expected.join("\n"),
      from,
      to: at,
    });
  }
  return commands;
}

/** Splits at blanks outside parentheses. */
function splitDirective(directive: string): string[] {
  return directive.match(/(?:\([^)]*\)|[^\s(])+/g) ?? [];
}

function parseArgument(word: string, line: number): Argument {
  const equals = word.indexOf("=");
  if (equals < 0) return { key: word, values: [] };
  const key = word.slice(0, equals);
  const value = word.slice(equals + 1);
  if (!value.startsWith("(")) return { key, values: [value] };
  if (!value.endsWith(")")) throw new Error(`line ${line}: ${word}: a list lacks its closing parenthesis`);
  const list = value.slice(1, -1).trim();
  return { key, values: list === "" ? [] : list.split(",").map((one) => one.trim()) };
}

/** Formats an output for a file. */
function outputLines(output: string): string[] {
  const lines = trimEnd(output).split("\n");
  if (output === "") return [];
  return lines.some((line) => line.trim() === "") ? [separator, ...lines, separator, separator] : lines;
}

/** Returns the text of the file with the output of each command replaced. */
export function rewrite(text: string, commands: readonly Command[], outputs: readonly string[]): string {
  const lines = text.split("\n");
  for (let at = commands.length - 1; at >= 0; at--) {
    const { from, to } = commands[at] as Command;
    lines.splice(from, to - from, ...outputLines(outputs[at] as string));
  }
  return lines.join("\n");
}

/** Removes trailing newlines, which a comparison ignores. */
export function trimEnd(text: string): string {
  return text.replace(/\n+$/, "");
}

/** Returns the value of an argument, or undefined if it is absent. */
export function oneValue(command: Command, key: string): string | undefined {
  return command.arguments.find((argument) => argument.key === key && argument.values.length > 0)?.values[0];
}

export function valuesOf(command: Command, key: string): readonly string[] {
  return command.arguments.find((argument) => argument.key === key)?.values ?? [];
}

/** Returns the arguments without a value, in order. */
export function plainArguments(command: Command): string[] {
  return command.arguments.filter((argument) => argument.values.length === 0).map((argument) => argument.key);
}

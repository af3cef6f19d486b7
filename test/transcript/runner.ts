/** Runs transcript files. The commands of a file determine its kind. Each file has its own state. */
import { confchange, confchangeCommands } from "./confchange.ts";
import { type Command, parse, rewrite, trimEnd } from "./datadriven.ts";
import { interaction, interactionCommands } from "./interaction.ts";
import { quorum, quorumCommands } from "./quorum.ts";

export interface Difference {
  readonly command: Command;
  readonly actual: string;
}

export interface Result {
  readonly commands: number;
  readonly differences: readonly Difference[];
  /** The text of the file with the actual outputs. */
  readonly rewritten: string;
}

const kinds = [
  [interactionCommands, interaction],
  [quorumCommands, quorum],
  [confchangeCommands, confchange],
] as const;

/** Returns the handler of the kind that has most of the commands. */
function handlerFor(commands: readonly Command[]): (command: Command) => string {
  const known = (names: ReadonlySet<string>): number => commands.filter(({ name }) => names.has(name)).length;
  const [first, ...others] = kinds;
  return others.reduce<(typeof kinds)[number]>(
    (best, kind) => (known(kind[0]) > known(best[0]) ? kind : best),
    first,
  )[1]();
}

export function run(text: string): Result {
  const commands = parse(text);
  const perform = handlerFor(commands);
  const outputs = commands.map((command) => perform(command));
  const differences = commands
    .map((command, at) => ({ command, actual: trimEnd(outputs[at] as string) }))
    .filter(({ command, actual }) => trimEnd(command.expected) !== actual);
  return { commands: commands.length, differences, rewritten: rewrite(text, commands, outputs) };
}

/** Returns a line diff by longest common subsequence: `-` expected, `+` actual, unchanged lines indented. */
export function diff(expected: string, actual: string): string {
  const [left, right] = [expected.split("\n"), actual.split("\n")];
  const width = right.length + 1;
  const lengths = new Uint32Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        left[i] === right[j]
          ? (lengths[(i + 1) * width + j + 1] as number) + 1
          : Math.max(lengths[(i + 1) * width + j] as number, lengths[i * width + j + 1] as number);
    }
  }
  const lines: string[] = [];
  let [i, j] = [0, 0];
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && left[i] === right[j]) {
      lines.push(`  ${left[i++]}`);
      j++;
    } else if (
      i < left.length &&
      (j >= right.length ||
        (lengths[(i + 1) * width + j] as number) >= (lengths[i * width + j + 1] as number))
    ) {
      lines.push(`- ${left[i++]}`);
    } else lines.push(`+ ${right[j++]}`);
  }
  return lines.join("\n");
}

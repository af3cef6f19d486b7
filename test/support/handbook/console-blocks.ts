/**
 * The commands in the console blocks of a page of Markdown, with the output that the page shows.
 *
 *   block := "```console" (step …) "```"        step := "$ " command ("> " line of the command …) (line of the output …)
 */

export interface Step {
  readonly command: string;
  readonly expected: string;
}

/** Returns the commands of all console blocks with their output. */
export function consoleSteps(markdown: string): Step[] {
  return [...markdown.matchAll(/^```console\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        const lines = step.split("\n");
        const end = lines.findIndex((line, at) => at > 0 && !line.startsWith("> "));
        const command = lines.slice(0, end).map((line, at) => (at === 0 ? line : line.slice(2)));
        return { command: command.join("\n"), expected: lines.slice(end).join("\n") };
      }),
  );
}

/** Matches the output that a page shows: `…` is any text on one line, a line `…` is any number of lines. */
export function outputPattern(expected: string): RegExp {
  const lines = `${expected.trimEnd()}\n`.split(/^…\n/m).map((part) =>
    part
      .split("…")
      .map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join("[^\\n]*?"),
  );
  // The last line may lack its end.
  return new RegExp(`^${lines.join("(?:.*\\n)*?").replace(/\n$/, "")}\\n*$`);
}

/** `tailrace completion bash|zsh|fish`: prints a completion script for the shell, generated from the commands. */
import { Argument, Command } from "commander";
import type { CommandFile, CommandFiles } from "../command-file.ts";

/** Returns the command for these commands. */
export const completionFor = (files: CommandFiles): CommandFile => ({
  register(program) {
    program
      .command("completion")
      .description("print a completion script for a shell")
      .addArgument(new Argument("<shell>", "the shell").choices(["bash", "zsh", "fish"]))
      .action(async (shell: "bash" | "zsh" | "fish") => {
        const words = await wordsByCommand(files);
        process.stdout.write(shell === "fish" ? fish(words) : bash(words, shell === "zsh"));
      });
  },
});

/** The flags and subcommands of each command. */
async function wordsByCommand(files: CommandFiles): Promise<ReadonlyMap<string, readonly string[]>> {
  const { serveFlags } = await import("../../agent/mod.ts");
  const program = new Command("tailrace");
  for (const load of Object.values(files)) (await load()).register(program);
  const words = new Map<string, readonly string[]>();
  for (const command of program.commands) {
    const subcommands = command.commands.map((inner) => inner.name());
    const flags = [command, ...command.commands].flatMap(({ options }) =>
      options.map(({ long }) => long ?? ""),
    );
    const more = command.name() === "serve" || command.name() === "config" ? serveFlags : [];
    words.set(
      command.name(),
      [...subcommands, ...new Set([...flags, ...more, "--help"])].filter((word) => word !== ""),
    );
  }
  return words;
}

function bash(words: ReadonlyMap<string, readonly string[]>, zsh: boolean): string {
  const cases = [...words].map(([command, flags]) => `    ${command}) words="${flags.join(" ")}" ;;`);
  return `${zsh ? "autoload -U +X bashcompinit && bashcompinit\n" : ""}_tailrace() {
  local words current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    *) words="${[...words.keys()].join(" ")}" ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="${[...words.keys()].join(" ")}"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _tailrace tailrace
`;
}

function fish(words: ReadonlyMap<string, readonly string[]>): string {
  const names = [...words.keys()].join(" ");
  const lines = [`complete -c tailrace -n "not __fish_seen_subcommand_from ${names}" -f -a "${names}"`];
  for (const [command, flags] of words) {
    lines.push(`complete -c tailrace -n "__fish_seen_subcommand_from ${command}" -a "${flags.join(" ")}"`);
  }
  return `${lines.join("\n")}\n`;
}

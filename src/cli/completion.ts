/**
 * `tailrace completion bash|zsh|fish`: a script for the shell, made from the commands as they are.
 *
 * Never: asks a node.
 */
import { Argument, Command } from "commander";

export function register(program: Command): void {
  program
    .command("completion")
    .description("print a completion script, for example: source <(tailrace completion bash)")
    .addArgument(new Argument("<shell>", "which shell").choices(["bash", "zsh", "fish"]))
    .action(async (shell: "bash" | "zsh" | "fish") => {
      const words = await wordsByCommand();
      process.stdout.write(shell === "fish" ? fish(words) : bash(words, shell === "zsh"));
    });
}

/** Command → its flags and the commands below it. */
async function wordsByCommand(): Promise<ReadonlyMap<string, readonly string[]>> {
  // biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
  const { commandFiles } = await import("./commands.ts");
  const { serveFlags } = await import("../agent/mod.ts");
  const program = new Command("tailrace");
  for (const load of Object.values(commandFiles)) (await load()).register(program);
  const words = new Map<string, readonly string[]>();
  for (const command of program.commands) {
    const below = command.commands.map((inner) => inner.name());
    const flags = [command, ...command.commands].flatMap(({ options }) =>
      options.map(({ long }) => long ?? ""),
    );
    const more = command.name() === "serve" || command.name() === "config" ? serveFlags : [];
    words.set(
      command.name(),
      [...below, ...new Set([...flags, ...more, "--help"])].filter((word) => word !== ""),
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

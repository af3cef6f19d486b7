/** What a file in commands/ exports. */
import type { Command } from "commander";

export interface CommandFile {
  /** Adds the command to the program. */
  register(program: Command): void;
}

/** Loads the file of each command by its name. */
export type CommandFiles = Readonly<Record<string, () => Promise<CommandFile>>>;

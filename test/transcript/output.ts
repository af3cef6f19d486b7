/**
 * The output of a command: log lines from a level on, and everything else, indented by nesting. Empty at level none.
 */
import type { Level } from "./render-events.ts";

const levels = ["debug", "info", "warn", "error", "fatal", "none"] as const;
export type OutputLevel = (typeof levels)[number];

export function parseLevel(text: string): OutputLevel {
  const level = levels.find((one) => one === text.toLowerCase());
  if (level === undefined) throw new Error(`log levels must be either of ${levels.join(", ").toUpperCase()}`);
  return level;
}

export class Output {
  level: OutputLevel = "debug";
  #text = "";
  #indent = "";

  get quiet(): boolean {
    return this.level === "none";
  }

  /** Writes text of one or more lines. The next write continues a last line without a newline. */
  write(text: string): void {
    if (this.quiet || text === "") return;
    const fresh = this.#text === "" || this.#text.endsWith("\n");
    this.#text += (fresh ? this.#indent : "") + text.replace(/\n(?=.)/gs, `\n${this.#indent}`);
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }

  log(level: Level, text: string): void {
    if (levels.indexOf(level) < levels.indexOf(this.level)) return;
    this.line(`${level.toUpperCase()} ${text}`);
  }

  indented(work: () => void): void {
    const before = this.#indent;
    this.#indent += "  ";
    try {
      work();
      if (this.#text !== "" && !this.#text.endsWith("\n")) this.#text += "\n";
    } finally {
      this.#indent = before;
    }
  }

  /** Returns and clears the text written since the last call. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}

/** One bash that runs the commands of a page in turn, so that variables, directories and jobs last from one to the next. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";

export interface StepResult {
  readonly out: string;
  readonly err: string;
  readonly status: number;
}

export class ShellSession implements AsyncDisposable {
  readonly #shell: ChildProcess;
  readonly #mark = randomUUID();
  readonly #ended: Promise<unknown>;
  #out = "";
  #err = "";
  #changed = Promise.withResolvers<void>();

  constructor(cwd: string, env: NodeJS.ProcessEnv) {
    // The shell leads a group of processes, so that its jobs end with it.
    this.#shell = spawn("bash", ["--norc"], { cwd, env, detached: true });
    this.#ended = once(this.#shell, "close");
    const collect = (add: (text: string) => void) => (chunk: Buffer) => {
      add(chunk.toString("utf8"));
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    };
    this.#shell.stdout?.on(
      "data",
      collect((text) => {
        this.#out += text;
      }),
    );
    this.#shell.stderr?.on(
      "data",
      collect((text) => {
        this.#err += text;
      }),
    );
    void this.#ended.then(() => this.#changed.resolve());
  }

  /** Runs a command. @throws Error if it takes longer than `limitMs`, default 120 s, or ends the shell */
  async run(command: string, limitMs = 120_000): Promise<StepResult> {
    this.#out = "";
    this.#err = "";
    this.#shell.stdin?.write(`{\n${command}\n} </dev/null\nprintf '\\n%s %s\\n' ${this.#mark} $?\n`);
    const limit = setTimeout(() => this.#kill(), limitMs);
    try {
      for (;;) {
        const found = new RegExp(`\\n${this.#mark} (\\d+)\\n`).exec(this.#out);
        if (found !== null)
          return { out: this.#out.slice(0, found.index), err: this.#err, status: Number(found[1]) };
        if (this.#shell.exitCode !== null || this.#shell.signalCode !== null)
          throw new Error(`the shell ended during ${command}\n${this.#out}\n${this.#err}`);
        await this.#changed.promise;
      }
    } finally {
      clearTimeout(limit);
    }
  }

  #kill(): void {
    try {
      process.kill(-(this.#shell.pid ?? 0), "SIGKILL");
    } catch {
      // The group has ended.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill();
    await this.#ended;
  }
}

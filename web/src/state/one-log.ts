/** One log: its description, read again periodically, and the changes that the user makes to it. */
import { signal } from "@preact/signals";
import type { LogInfo } from "../../../src/gen/log/v1/log_pb.js";
import { numberSettings } from "../../../src/lib/named-log-settings.ts";
import { changedPaths } from "../core/log-form.ts";
import type { LogSeen, LogSettingsSeen } from "../core/log-rows.ts";
import { asCallError, callsTo } from "../io/calls.ts";
import { seenOf } from "./log-list.ts";

const timeoutMs = 10_000;

/** Runs a call. Returns what the server said if it failed: its message, and whether the write happened. */
async function attempt(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    const { message, code, facts } = asCallError(error);
    const outcome = facts["written"] === "no" ? "nothing was changed" : "whether it was changed is unknown";
    return `${message} (${code ?? "no answer"}; ${outcome})`;
  }
}

/** Creates a log. Returns it, or the server's message. */
export async function createLog(
  node: string,
  name: string,
  settings: LogSettingsSeen,
): Promise<LogSeen | string> {
  let made: LogInfo | undefined;
  const wrong = await attempt(async () => {
    ({ log: made } = await callsTo(node).logs.createLog(
      { name, settings: messageOf(settings) },
      { timeoutMs },
    ));
  });
  return made === undefined ? (wrong ?? "the node did not describe the log") : seenOf(made);
}

export class OneLog {
  readonly info = signal<LogSeen | undefined>(undefined);
  /** Why it could not be described. */
  readonly wrong = signal<string | undefined>(undefined);
  readonly #node: () => string;
  #name = "";
  #refreshing: string | undefined;

  /** `node` returns the base address to ask. */
  constructor(node: () => string) {
    this.#node = node;
  }

  /** Follows the log of this name. An empty name follows no log. */
  follow(name: string, known?: LogSeen): void {
    this.#name = name;
    this.info.value = known;
    this.wrong.value = undefined;
    this.#refreshing = undefined;
    void this.refresh();
  }

  async refresh(): Promise<void> {
    const name = this.#name;
    if (name === "" || this.#refreshing === name) return;
    this.#refreshing = name;
    try {
      const { log } = await callsTo(this.#node()).logs.getLog({ name }, { timeoutMs });
      if (name === this.#name && log !== undefined) this.#learn(log);
    } catch (error) {
      if (name === this.#name) this.wrong.value = asCallError(error).message;
    } finally {
      if (this.#refreshing === name) this.#refreshing = undefined;
    }
  }

  /** Returns the server's message if the settings were not changed. */
  update(before: LogSeen, settings: LogSettingsSeen): Promise<string | undefined> {
    return attempt(async () => {
      const { log } = await callsTo(this.#node()).logs.updateLog(
        {
          name: before.name,
          logId: before.id,
          settings: messageOf(settings, before.settings),
          updateMask: { paths: changedPaths(before.settings, settings) },
        },
        { timeoutMs },
      );
      if (log !== undefined) this.#learn(log);
    });
  }

  close({ name, id }: LogSeen): Promise<string | undefined> {
    return attempt(async () => {
      const { log } = await callsTo(this.#node()).logs.closeLog({ name, logId: id }, { timeoutMs });
      if (log !== undefined) this.#learn(log);
    });
  }

  delete({ name, id }: LogSeen): Promise<string | undefined> {
    return attempt(async () => {
      await callsTo(this.#node()).logs.deleteLog({ name, logId: id }, { timeoutMs });
    });
  }

  #learn(log: LogInfo): void {
    if (log.name !== this.#name) return;
    this.info.value = seenOf(log);
    this.wrong.value = undefined;
  }
}

/** The settings that are set; with `before`, only those that differ from it. */
function messageOf(settings: LogSettingsSeen, before?: LogSettingsSeen) {
  const { contentType } = settings;
  const isNew = (value: unknown, old: unknown): boolean => value !== undefined && value !== old;
  const numbers = numberSettings.flatMap((name) => {
    const value = settings[name];
    return value !== undefined && isNew(value, before?.[name]) ? [[name, BigInt(value)] as const] : [];
  });
  return {
    ...Object.fromEntries(numbers),
    ...(isNew(contentType, before?.contentType) && { contentType: contentType as string }),
  };
}

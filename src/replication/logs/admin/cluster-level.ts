/**
 * Raises the level of the cluster on the leader, before the first batch that members of an earlier version could not read. Every
 * member must be connected and have the level.
 */
import { batchKind, encodeLogCommand, type LogTable, settledLevel } from "../../../log/mod.ts";
import type { Appender } from "../../append/appender.ts";
import { oldMembers } from "../log-refusals.ts";

export interface ClusterLevelPorts {
  readonly table: () => LogTable;
  readonly appender: Pick<Appender, "turns" | "command" | "refuse" | "confirmed">;
  /** The members that do not have this level, or are not connected. The level is not raised while there are any. */
  readonly membersWithout: (level: number) => readonly string[];
  /** Draws the life of a cluster. */
  readonly drawLife: () => number;
}

export class ClusterLevel {
  readonly #ports: ClusterLevelPorts;
  #raising: Promise<void> | undefined;

  constructor(ports: ClusterLevelPorts) {
    this.#ports = ports;
  }

  /**
   * Resolves once the cluster has the level. `late` begins the message after the deadline.
   * @throws Fault "failed-precondition" while a member does not have it, "deadline"
   */
  async prepare(level: number, deadlineMs: number | undefined, late: string): Promise<void> {
    if (this.#ports.table().level >= level) return;
    await this.#ports.appender.turns.before(deadlineMs, this.#raiseNext(level), late);
  }

  /**
   * Raises it after the command that is under way. Others wait for the same command, and the first of them begins the next one,
   * which may be one for a lower level: so it is raised again until the cluster has this level.
   */
  async #raiseNext(level: number): Promise<void> {
    await this.#raising?.catch(() => undefined);
    while (this.#ports.table().level < level) await this.#raise(level);
  }

  /** Does the same for settled frames, if there are named logs. */
  async prepareSettling(): Promise<void> {
    if (this.#ports.table().level > 0) await this.#raiseNext(settledLevel);
  }

  /** Begins a command for this level, or waits for the one under way. The life stays. */
  #raise(level: number): Promise<void> {
    const { appender, drawLife, membersWithout, table } = this.#ports;
    const without = membersWithout(level);
    if (without.length > 0) return appender.refuse(() => oldMembers(without));
    const { stagedLevel, stagedLife } = table();
    if (stagedLevel > level) return appender.confirmed();
    const command = encodeLogCommand({ level, life: stagedLife === 0 ? drawLife() : stagedLife });
    this.#raising ??= appender.command(batchKind.level, command).finally(() => (this.#raising = undefined));
    return this.#raising;
  }
}

/**
 * Raises the level of the cluster so that members may settle records: all of them must know settled frames then. A member that is
 * not connected, or of an earlier version, keeps it from being raised.
 */
import { type SegmentedLog, settledLevel } from "../../log/mod.ts";
import type { ClusterLevel } from "./admin/cluster-level.ts";

export interface SettledLevelPorts {
  readonly log: Pick<SegmentedLog, "settler" | "state">;
  readonly level: Pick<ClusterLevel, "prepareSettling">;
  /** The members that do not have a level, or are not connected. */
  readonly membersWithout: (level: number) => readonly string[];
}

export class SettledLevel {
  readonly #ports: SettledLevelPorts;
  #isRaising = false;

  constructor(ports: SettledLevelPorts) {
    this.#ports = ports;
  }

  /** On the leader: raises the level if this node settles, there are named logs, and all members can follow. */
  raise(): void {
    const { log, level: cluster, membersWithout } = this.#ports;
    const { level } = log.state.logs;
    if (log.settler?.settles !== true || this.#isRaising || level === 0 || level >= settledLevel) return;
    if (membersWithout(settledLevel).length > 0) return;
    this.#isRaising = true;
    const done = (): void => {
      this.#isRaising = false;
    };
    // A refusal is tried again by the next maintenance.
    cluster.prepareSettling().then(done, done);
  }
}

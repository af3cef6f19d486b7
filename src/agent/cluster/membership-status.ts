/**
 * Is this node a member of its cluster? Keeps the answer in the node's readiness, and in the replica: `waitingFor` and
 * `membershipFault` say why a node takes no writes.
 *
 *   waiting ─ its configuration names it ─► member ─ removed, or left ─► notified ─► removed ─ added again ─► member
 *
 * "notified": another node reported the removal, and this node's configuration may be older than that.
 */
import { type Facts, Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Disowned, Replica } from "../../replication/mod.ts";
import type { NodeReadiness } from "../node-readiness.ts";

/** The name of the readiness reason. */
const reason = "cluster";

export interface MembershipStatusOptions {
  readonly replica: Pick<
    Replica,
    "configured" | "started" | "identity" | "waitingFor" | "membershipFault"
  > & {
    readonly node: Pick<Replica["node"], "leader" | "configuration">;
    readonly state: Pick<Replica["state"], "configurationAt">;
  };
  readonly readiness: Pick<NodeReadiness, "reasons" | "set">;
  readonly logger: Logger;
}

export class MembershipStatus {
  readonly #replica: MembershipStatusOptions["replica"];
  readonly #readiness: MembershipStatusOptions["readiness"];
  readonly #logger: Logger;
  #state: "waiting" | "member" | "notified" | "removed" = "waiting";

  constructor({ replica, readiness, logger }: MembershipStatusOptions) {
    this.#replica = replica;
    this.#readiness = readiness;
    this.#logger = logger;
  }

  /** The node waits to become a member. */
  wait(why: string): void {
    this.#replica.waitingFor = why;
    if (this.#readiness.reasons().includes(why)) return;
    this.#logger.info({ why }, "not in a cluster yet");
    this.#readiness.set(reason, why);
  }

  /** Raft is about to start. Call started() when other readiness reasons are set. */
  starting(clusterId: string): void {
    this.#state = this.#replica.configured ? "member" : "waiting";
    if (this.#state === "waiting") this.wait(`this node waits to be added to cluster ${clusterId}`);
  }

  started(): void {
    if (this.#state === "member") this.#readiness.set(reason, undefined);
    this.update();
  }

  /**
   * Reads the membership from the node's configuration, once a change has arrived here. A node that was notified of its
   * removal is a member again only if it has a leader again.
   */
  update(): void {
    const replica = this.#replica;
    if (!replica.configured) return;
    const { leader, configuration } = replica.node;
    const isNamed = configuration.roster?.members.some(({ peer }) => peer === replica.identity.peer) === true;
    if (!isNamed && this.#state === "member") this.removed("this node was removed from its cluster");
    if (this.#state === "notified" && (!isNamed || leader === undefined)) this.#state = "removed";
    const isBack = this.#state === "removed" && isNamed && leader !== undefined;
    if (!isBack && this.#state !== "waiting") return;
    this.#state = "member";
    this.#readiness.set(reason, undefined);
    replica.membershipFault = undefined;
  }

  /** The node is not a member any more. */
  removed(why: string): void {
    if (this.#state === "notified" || this.#state === "removed") return;
    this.#state = "notified";
    this.#logger.warn({}, why);
    this.#readiness.set(reason, why);
    const facts = this.#memberFacts();
    const where = facts.members === undefined ? "" : `, its members are at ${facts.members}`;
    this.#replica.membershipFault = new Fault("failed-precondition", { message: `${why}${where}`, facts });
  }

  /** The other members refuse this node's data directory: it takes no part in the cluster. */
  refused({ message, by }: Disowned): void {
    this.#logger.error(
      { by, why: message },
      "this node takes no part: the other members refuse its data directory",
    );
    this.#readiness.set("identity", `this node takes no part in its cluster, ${message}`);
    this.#replica.membershipFault = new Fault("failed-precondition", {
      message: `this node takes no part in its cluster, ${message}`,
      facts: this.#memberFacts(),
    });
  }

  /** The addresses of the members, for clients of a node that is not a member. */
  #memberFacts(): Facts {
    const replica = this.#replica;
    const configuration = replica.started
      ? replica.node.configuration
      : replica.state.configurationAt(Number.MAX_SAFE_INTEGER);
    const members = configuration.roster?.members ?? [];
    const others = members.filter(({ directory }) => directory !== replica.identity.directory);
    return others.length === 0 ? {} : { members: others.map(({ address }) => address).join(" ") };
  }
}

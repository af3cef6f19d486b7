/**
 * Answers the requests of other nodes over the peer link.
 *
 *   founders                          how this node sees the bootstrap
 *   end                               the end of its log
 *   adopt                             the leader tells it the cluster's id, before it is added
 *   removed                           the leader tells it that it was removed
 *   extents                           the leader's report of all members' progress
 *   room                              does its disk take records?
 *   add, remove, transfer, leave      forwarded requests of operators (members-admin.ts)
 */
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import { chainStart, emptyCheckpoint } from "../../log/mod.ts";
import type { PeerHello } from "../../peer/mod.ts";
import type { Replica } from "../../replication/mod.ts";
import type { Config } from "../config/settings.ts";
import type { BootstrapAnswer, BootstrapView, InitialMember } from "./bootstrap/bootstrap.ts";
import type { BootstrapReply } from "./bootstrap/bootstrap-poller.ts";
import { type DiskAnswer, diskVerb } from "./disk-watch.ts";
import type { LeaderProgressCache } from "./leader-progress-cache.ts";
import type { MembersAdmin } from "./members/members-admin.ts";
import type { MembershipStatus } from "./membership-status.ts";

export interface PeerRequestsOptions {
  readonly replica: Replica;
  readonly config: Pick<Config, "clusterId" | "initialOffset">;
  readonly self: InitialMember;
  readonly members: MembersAdmin;
  readonly progress: LeaderProgressCache;
  readonly status: MembershipStatus;
  /** What this node sees while it waits for others to bootstrap with it. */
  readonly bootstrapView: () => BootstrapView | undefined;
  /** Called when the node got its cluster's id from a leader, and the id is durable. */
  readonly onAdopted: () => void;
  readonly logger: Logger;
}

export class PeerRequests {
  readonly #options: PeerRequestsOptions;

  constructor(options: PeerRequestsOptions) {
    this.#options = options;
  }

  /** @throws Fault "bad-request" for a malformed request, "unimplemented" for an unknown verb */
  async answer(verb: string, body: unknown, from: PeerHello): Promise<unknown> {
    const { replica, progress, members } = this.#options;
    if (typeof body !== "object" || body === null) throw malformed(verb);
    if (verb === "founders") return this.#bootstrapReply();
    if (verb === "end") return replica.storedLog.end;
    if (verb === "adopt") return this.#adopt(body, from);
    if (verb === "removed") return this.#removed(body, from);
    if (verb === "extents") return progress.own();
    if (verb === diskVerb) return { takesRecords: replica.diskRefusal === undefined } satisfies DiskAnswer;
    const answer = members.answer(verb, body, from);
    if (answer !== undefined) return answer;
    throw new Fault("unimplemented", { message: `this node does not know the peer request ${verb}` });
  }

  #bootstrapReply(): BootstrapReply {
    const { replica, config, self, bootstrapView } = this.#options;
    const { state, storedLog } = replica;
    if (state.clusterId !== undefined || replica.configured) {
      const members = state.configurationAt(0).roster?.members ?? [];
      const founders = members.map(({ name, directory, address }) => ({ name, directory, address }));
      return { self, answer: { kind: "begun", clusterId: state.clusterId ?? "", founders } };
    }
    if (storedLog.end.index > 0) return { self, answer: { kind: "holds", name: self.name } };
    const alone = { expect: 0, startOffset: config.initialOffset, clusterId: undefined, founders: [self] };
    const answer: BootstrapAnswer = { kind: "view", view: bootstrapView() ?? alone };
    return { self, answer };
  }

  /** From now on this node belongs to the leader's cluster. */
  #adopt(body: unknown, from: PeerHello): null {
    const { replica, config, logger, onAdopted } = this.#options;
    const { clusterId, startOffset } = body as Record<string, unknown>;
    const isOffset = typeof startOffset === "number" && Number.isSafeInteger(startOffset) && startOffset >= 0;
    if (typeof clusterId !== "string" || clusterId === "" || !isOffset) throw malformed("adopt");
    const known = replica.state.clusterId;
    if (known === clusterId) return null;
    const expected = known ?? config.clusterId ?? replica.state.restoredFrom;
    if (clusterId !== from.clusterId || replica.configured || (expected ?? clusterId) !== clusterId) {
      if (clusterId === from.clusterId) this.#sayRefused(clusterId, expected);
      throw new Fault("failed-precondition", {
        message: `${replica.identity.name} does not join cluster ${clusterId}`,
        facts: expected === undefined ? {} : { cluster: expected },
      });
    }
    replica.state.saveClusterId(clusterId);
    const { storedLog } = replica;
    if (storedLog.end.index === 0 && storedLog.end.nextOffset !== startOffset) {
      const checkpoint = { ...emptyCheckpoint, lowest: startOffset };
      storedLog.reset({ end: { ...chainStart, nextOffset: startOffset }, checkpoint });
    }
    logger.info({ clusterId, leader: from.name }, "adopted by a cluster");
    onAdopted();
    return null;
  }

  /** A leader of another cluster wants to add this node. Without this reason, only the log of the leader would say why it waits. */
  #sayRefused(clusterId: string, expected: string | undefined): void {
    const { replica, config, status } = this.#options;
    if (replica.configured || expected === undefined || expected === clusterId) return;
    const source =
      replica.state.clusterId !== undefined
        ? "its data directory"
        : config.clusterId !== undefined
          ? "--cluster-id"
          : "the backup that its data directory was restored from";
    status.wait(
      `this node is not added to cluster ${clusterId}: it belongs to cluster ${expected}, by ${source}; to join it to the other cluster, start it with an empty data directory, without --restore-from and with no other --cluster-id`,
    );
  }

  /** `late`: a leader met this node after its removal. A node that has a leader may have been added again since. */
  #removed(body: unknown, from: PeerHello): null {
    const { replica, status } = this.#options;
    const { late } = body as Record<string, unknown>;
    if (from.clusterId !== (replica.state.clusterId ?? "") || !replica.started) return null;
    if (late === true && replica.node.leader !== undefined) return null;
    status.removed("this node was removed from its cluster");
    status.update();
    return null;
  }
}

const malformed = (verb: string): Fault =>
  new Fault("bad-request", { message: `the peer request ${verb} is malformed` });

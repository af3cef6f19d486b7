/**
 * A node as part of its cluster: how it becomes a member (bootstrap.ts decides), and the parts that run once Raft runs.
 *
 *   start() ─ bootstraps, resumes its configuration, or waits ─► Raft runs ─► readiness, disk watch, reconciler
 */
import type { Principal } from "../../access/mod.ts";
import type { ClusterAdmin } from "../../api/mod.ts";
import type { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { PeerHello, PeerNetwork } from "../../peer/mod.ts";
import { backupParts, peerIdOf, type Replica } from "../../replication/mod.ts";
import type { Config } from "../config/settings.ts";
import type { Gossip } from "../gossip/gossip.ts";
import type { NodeReadiness } from "../node-readiness.ts";
import { type BootstrapDecision, type InitialMember, startModeOf } from "./bootstrap/bootstrap.ts";
import { BootstrapPoller, bootstrapReplyOf } from "./bootstrap/bootstrap-poller.ts";
import { DiskWatch } from "./disk-watch.ts";
import { LeaderProgressCache } from "./leader-progress-cache.ts";
import { LeaderReadiness } from "./leader-readiness.ts";
import { LeadershipTransfer } from "./members/leadership-transfer.ts";
import { MembersAdmin } from "./members/members-admin.ts";
import { type Candidate, Reconciler } from "./members/reconciler.ts";
import { MembershipStatus } from "./membership-status.ts";
import { PeerRequests } from "./peer-requests.ts";

export interface NodeClusterOptions {
  readonly config: Pick<
    Config,
    "bootstrap" | "bootstrapExpect" | "startJoinAddrs" | "clusterId" | "initialOffset"
  >;
  readonly replica: Replica;
  readonly self: () => PeerHello;
  readonly network: Pick<PeerNetwork, "probe" | "ask" | "attach" | "movedMembers"> &
    Partial<Pick<PeerNetwork, "identityProblemOf" | "isolate">>;
  readonly gossip: Pick<Gossip, "members" | "membership" | "setClusterId">;
  readonly readiness: NodeReadiness;
  readonly authorize: (caller: Principal, object: string, action: "admin") => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Makes a random id for a new cluster. */
  readonly newClusterId: () => string;
  /** Derives an id from the initial members' directories, the same on every initial member. */
  readonly clusterIdOf: (directories: readonly string[]) => string;
}

const hasLog =
  "the log of this node is not empty, so it does not bootstrap with others; start it alone with --bootstrap, and the others are added to it";
/** The first initial member calls the election after this time, when the other initial members have bootstrapped too. */
const firstElectionMs = 500;

export class NodeCluster implements Disposable {
  /** The operators' requests. */
  readonly admin: ClusterAdmin;
  readonly progress: LeaderProgressCache;
  readonly #options: NodeClusterOptions;
  readonly #members: MembersAdmin;
  readonly #leadership: LeadershipTransfer;
  readonly #reconciler: Reconciler;
  readonly #status: MembershipStatus;
  readonly #requests: PeerRequests;
  readonly #self: InitialMember;
  readonly #running = new DisposableStack();
  #poller: BootstrapPoller | undefined;
  #closed = false;

  constructor(options: NodeClusterOptions) {
    this.#options = options;
    const { replica, config, network, clock, logger, authorize } = options;
    const { name, directory, address } = replica.member;
    this.#self = { name, directory, address };
    const probe = (at: string): Promise<PeerHello> => network.probe(at);
    const ask = (at: string, verb: string, body: unknown, deadlineMs?: number): Promise<unknown> =>
      network.ask(at, verb, body, deadlineMs === undefined ? {} : { deadlineMs });
    const reconciler = new Reconciler({
      replica,
      self: options.self,
      candidates: () => this.#candidates(),
      onGossip: (listener) =>
        options.gossip.membership.onEvent((event) => {
          if ("member" in event) listener();
        }),
      probe,
      ask,
      identityProblemOf: (hello) => network.identityProblemOf?.(hello),
      clock,
      logger,
    });
    const leadership = new LeadershipTransfer(replica, clock);
    const members = new MembersAdmin({ replica, reconciler, leadership, probe, ask, authorize, clock });
    const status = new MembershipStatus({ replica, readiness: options.readiness, logger });
    const progress = new LeaderProgressCache({ replica, ask, clock });
    [this.#reconciler, this.#leadership, this.#members] = [reconciler, leadership, members];
    [this.#status, this.progress] = [status, progress];
    this.#requests = new PeerRequests({
      replica,
      config,
      self: this.#self,
      members,
      progress,
      status,
      bootstrapView: () => this.#poller?.view,
      onAdopted: () => this.#adopted(),
      logger,
    });
    this.admin = {
      add: (id, addr, caller) => members.add(id, addr, caller),
      remove: (id, caller) => (id === name ? this.leave() : members.remove(id, caller)),
      transfer: (to, caller) => members.transfer(to, caller),
      backup: (have, after) => backupParts(replica.storedLog, replica.state, have, after),
    };
    network.attach(replica, () => reconciler.look());
  }

  /** Empty while this node belongs to no cluster. */
  get clusterId(): string {
    return this.#options.replica.state.clusterId ?? "";
  }

  /** Starts Raft, or waits until this node belongs to a cluster. */
  start(): void {
    const { replica, config, network } = this.#options;
    const { state, storedLog } = replica;
    if (state.disowned !== undefined) {
      network.isolate?.();
      this.#status.refused(state.disowned);
      return;
    }
    const mode = startModeOf({
      configured: replica.configured,
      clusterId: state.clusterId,
      hasEntries: storedLog.end.index > 0,
      voted: state.vote !== undefined,
      bootstrap: config.bootstrap,
      bootstrapExpect: config.bootstrapExpect,
      joins: config.startJoinAddrs.length > 0,
    });
    if (mode === "member") this.#resume();
    else if (mode === "bootstrap") this.#bootstrap(this.#newId(), [this.#self]);
    else if (mode === "expect") this.#expect(config.bootstrapExpect ?? 1);
    else if (mode === "adopted") this.#run();
    else if (mode === "has-log") this.#status.wait(hasLog);
    else this.#status.wait("this node waits to be added to a cluster");
  }

  /** Answers a request of another node. @throws Fault "bad-request", "unimplemented", or the refusal of the request */
  ask(verb: string, body: unknown, from: PeerHello): Promise<unknown> {
    return this.#requests.answer(verb, body, from);
  }

  /** Leaves the cluster and gossip. The process runs on until it is stopped. */
  async leave(): Promise<void> {
    await this.#members.leave();
    this.#status.removed("this node has left its cluster");
    await this.#options.gossip.membership.leave();
  }

  /**
   * The other members refuse this directory as rolled back or copied. The refusal is stored until the directory is emptied
   * or repaired. The node keeps running and is not ready, because a supervisor would restart a process that exits.
   */
  disowned({ message, facts }: Fault, by: string): void {
    const disowned = { reason: String(facts.reason), message, by };
    try {
      this.#options.replica.state.saveDisowned(disowned);
    } catch (err) {
      this.#options.logger.warn({ err }, "the refusal of this directory could not be stored");
    }
    this.#status.refused(disowned);
  }

  /** A leader that stops hands leadership over, if another voter takes it in time. */
  handOver(withinMs: number): Promise<void> {
    return this.#leadership.handOver(withinMs);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#poller?.[Symbol.dispose]();
    this.#reconciler[Symbol.dispose]();
    this.#running.dispose();
  }

  /** A restored log keeps the id of its cluster, unless --cluster-id is given. */
  #newId(): string {
    const { replica, config, newClusterId } = this.#options;
    return replica.state.clusterId ?? config.clusterId ?? replica.state.restoredFrom ?? newClusterId();
  }

  #bootstrap(clusterId: string, founders: readonly InitialMember[]): void {
    const { replica, logger, clock } = this.#options;
    replica.bootstrap(
      founders.map((founder) => ({ ...founder, peer: peerIdOf(Buffer.from(founder.directory, "hex")) })),
      clusterId,
    );
    logger.info({ clusterId, members: founders.map(({ name }) => name) }, "bootstrapped a cluster");
    this.#publishId();
    this.#run();
    if (founders.length === 1 || founders[0]?.directory !== this.#self.directory) return;
    clock.after(firstElectionMs, () => {
      if (!this.#closed && replica.node.leader === undefined) replica.node.campaign();
    });
  }

  /** The node has a configuration. After a repair its cluster's id can be missing. */
  #resume(): void {
    const { replica, config } = this.#options;
    if (replica.state.clusterId === undefined) {
      const { voters } = replica.state.configurationAt(replica.storedLog.commitIndex);
      const alone = voters.length === 1 && voters[0] === replica.identity.peer;
      const id = config.clusterId ?? (alone ? this.#newId() : undefined);
      if (id === undefined) {
        this.#status.wait("the id of this node's cluster is lost, start it with --cluster-id");
        return;
      }
      replica.state.saveClusterId(id);
      this.#publishId();
    }
    this.#run();
  }

  #expect(expect: number): void {
    const { network, clock, clusterIdOf, config } = this.#options;
    this.#poller = new BootstrapPoller({
      self: this.#self,
      flags: { expect, startOffset: config.initialOffset, clusterId: config.clusterId },
      addresses: () => this.#candidates().map(({ address }) => address),
      ask: async (address) => bootstrapReplyOf(await network.ask(address, "founders", {})),
      idOf: clusterIdOf,
      clock,
      onDecision: (decision) => this.#decided(decision),
    });
    this.#status.wait(`1 of ${expect} nodes are here to bootstrap the cluster`);
    this.#poller.start();
  }

  #decided(decision: BootstrapDecision): void {
    if (decision.kind === "bootstrap") this.#bootstrap(decision.clusterId, decision.founders);
    else if (decision.kind === "wait") this.#status.wait(decision.why);
    else
      this.#status.wait(
        `the cluster ${decision.clusterId} exists already, this node waits to be added to it`,
      );
  }

  #adopted(): void {
    this.#poller?.[Symbol.dispose]();
    this.#publishId();
    this.#run();
  }

  #run(): void {
    const { replica, readiness, network, clock, logger } = this.#options;
    const status = this.#status;
    status.starting(this.clusterId);
    this.#running.defer(replica.onChange(() => status.update()));
    replica.start();
    this.#running.use(new LeaderReadiness(replica, readiness, clock));
    this.#running.use(
      new DiskWatch({
        replica,
        readiness,
        ask: (at, verb, body, deadlineMs) => network.ask(at, verb, body, { deadlineMs }),
        handOver: (withinMs, suits) => this.#leadership.handOver(withinMs, suits),
        clock,
        logger,
      }),
    );
    // LeaderReadiness has set its reason by now. Earlier, the node would be ready for a moment.
    status.started();
    this.#reconciler.look();
  }

  #publishId(): void {
    const { gossip, logger } = this.#options;
    gossip
      .setClusterId(this.clusterId)
      .catch((err: unknown) => logger.warn({ err }, "the cluster's id could not be published in gossip"));
  }

  /** The other Tailrace nodes in gossip, and members that connect from another address than their last. */
  #candidates(): Candidate[] {
    const { gossip, network, replica } = this.#options;
    const known = gossip.members().flatMap(({ name, status, node }) => {
      if (node === undefined || name === replica.identity.name) return [];
      if (status !== "alive" && status !== "suspect") return [];
      const { rpcAddr, directory, clusterId } = node;
      return [{ name, address: rpcAddr, directory, clusterId }];
    });
    const isKnown = (hello: PeerHello): boolean =>
      known.some(({ address, directory }) => address === hello.address && directory === hello.directory);
    return [...known, ...network.movedMembers().filter((hello) => !isKnown(hello))];
  }
}

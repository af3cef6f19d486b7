/**
 * A node and its cluster: how it comes to belong to one, what it does for it while it leads, what other nodes may ask it.
 *
 *   start() ─ begins, follows its configuration, or waits ─► Raft runs ─► readiness, reconciler
 *
 * Never: decides (bootstrap.ts, reconcile.ts do); believes gossip without asking the node itself.
 */
import type { Principal } from "../../access/mod.ts";
import type { ClusterAdmin } from "../../api/mod.ts";
import { type Facts, Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { chainStart, emptyCheckpoint } from "../../log/mod.ts";
import type { PeerHello, PeerNetwork } from "../../peer/mod.ts";
import { backupParts, type Disowned, peerOf, type Replica } from "../../replication/mod.ts";
import type { Config } from "../config/settings.ts";
import type { Gossip } from "../gossip/gossip.ts";
import type { NodeReadiness } from "../node-readiness.ts";
import { type Founder, type FounderAnswer, startOf, type Verdict } from "./bootstrap.ts";
import { type FounderReply, Founding, founderReplyOf } from "./bootstrap-poller.ts";
import { DiskWatch, type RoomAnswer, roomVerb } from "./disk-watch.ts";
import { ToldExtents } from "./leader-progress-cache.ts";
import { LeaderReadiness } from "./leader-readiness.ts";
import { MembersAdmin } from "./members-admin.ts";
import { type Candidate, Reconciler } from "./reconciler.ts";

export interface NodeClusterOptions {
  readonly config: Pick<
    Config,
    "bootstrap" | "bootstrapExpect" | "startJoinAddrs" | "clusterId" | "initialOffset"
  >;
  readonly replica: Replica;
  readonly self: () => PeerHello;
  readonly network: Pick<PeerNetwork, "probe" | "ask" | "attach" | "moved"> &
    Partial<Pick<PeerNetwork, "doubts" | "takeNoPart">>;
  readonly gossip: Pick<Gossip, "members" | "membership" | "setClusterId">;
  readonly readiness: NodeReadiness;
  readonly authorize: (caller: Principal, object: string, action: "admin") => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A new cluster's id, by chance. */
  readonly newClusterId: () => string;
  /** One that is the same wherever these directories begin a cluster. */
  readonly clusterIdOf: (directories: readonly string[]) => string;
}

/** The reason that has to do with belonging. */
const reason = "cluster";
const holdsLog =
  "its log is not empty, so it founds no cluster with others; start it alone by --bootstrap, and they are added to it";
/** The first of several founders calls the election, once the others had time to begin too. */
const firstElectionMs = 500;

export class NodeCluster implements Disposable {
  /** What operators may have done. */
  readonly admin: ClusterAdmin;
  readonly extents: ToldExtents;
  readonly #options: NodeClusterOptions;
  readonly #members: MembersAdmin;
  readonly #reconciler: Reconciler;
  readonly #founder: Founder;
  #readiness: LeaderReadiness | undefined;
  #diskWatch: DiskWatch | undefined;
  #founding: Founding | undefined;
  #stopListening: () => void = () => undefined;
  #membership: "member" | "told" | "gone" | "waits" = "waits";
  #closed = false;

  constructor(options: NodeClusterOptions) {
    this.#options = options;
    const { replica, network, clock, logger, authorize } = options;
    const { name, directory, address } = replica.member;
    this.#founder = { name, directory, address };
    const probe = (at: string): Promise<PeerHello> => network.probe(at);
    const ask = (at: string, verb: string, body: unknown, deadlineMs?: number): Promise<unknown> =>
      network.ask(at, verb, body, deadlineMs === undefined ? {} : { deadlineMs });
    this.#reconciler = new Reconciler({
      replica,
      self: options.self,
      candidates: () => this.#candidates(),
      onGossip: (listener) =>
        options.gossip.membership.onEvent((event) => {
          if ("member" in event) listener();
        }),
      probe,
      ask,
      doubts: (hello) => network.doubts?.(hello),
      clock,
      logger,
    });
    const members = new MembersAdmin({ replica, reconciler: this.#reconciler, probe, ask, authorize, clock });
    this.#members = members;
    this.admin = {
      add: (id, addr, caller) => members.add(id, addr, caller),
      remove: (id, caller) => (id === name ? this.leave() : members.remove(id, caller)),
      transfer: (to, caller) => members.transfer(to, caller),
      backup: (have) => backupParts(replica.storedLog, replica.state, have),
    };
    this.extents = new ToldExtents({ replica, ask, clock });
    network.attach(replica, () => this.#reconciler.look());
  }

  /** Empty while this node belongs to none. */
  get clusterId(): string {
    return this.#options.replica.state.clusterId ?? "";
  }

  /** Begins to take part, or to wait for being allowed to. */
  start(): void {
    const { replica, config } = this.#options;
    const { state, storedLog } = replica;
    if (state.disowned !== undefined) {
      this.#options.network.takeNoPart?.();
      this.#standAside(state.disowned);
      return;
    }
    const start = startOf({
      configured: replica.configured,
      clusterId: state.clusterId,
      hasEntries: storedLog.end.index > 0,
      voted: state.vote !== undefined,
      bootstrap: config.bootstrap,
      bootstrapExpect: config.bootstrapExpect,
      joins: config.startJoinAddrs.length > 0,
    });
    if (start === "member") this.#resume();
    else if (start === "alone") this.#begin(this.#newId(), [this.#founder]);
    else if (start === "expect") this.#expect(config.bootstrapExpect ?? 1);
    else if (start === "adopted") this.#run();
    else if (start === "holds") this.#wait(holdsLog);
    else this.#wait("this node waits to be added to a cluster");
  }

  /** Answers what another node asks. Rejects with Fault "bad-request" what is no order, and "unimplemented". */
  async ask(verb: string, body: unknown, from: PeerHello): Promise<unknown> {
    if (typeof body !== "object" || body === null) {
      throw new Fault("bad-request", { message: `the order ${verb} is malformed` });
    }
    if (verb === "founders") return this.#founderReply();
    if (verb === "end") return this.#options.replica.storedLog.end;
    if (verb === "adopt") return this.#adopt(body, from);
    if (verb === "removed") return this.#removed(body, from);
    if (verb === "extents") return this.extents.own();
    if (verb === roomVerb) return this.#room();
    const answer = this.#members.answer(verb, body, from);
    if (answer !== undefined) return answer;
    throw new Fault("unimplemented", { message: `peers do not ask for ${verb} here` });
  }

  /** Is no member any more by its own wish, and says so to everybody. The process goes on until it is stopped. */
  async leave(): Promise<void> {
    await this.#members.leave();
    this.#isOut("this node has left its cluster");
    await this.#options.gossip.membership.leave();
  }

  /**
   * The other members refuse this directory as rolled back or copied. The node stays up and is not ready: to end would
   * be to be started again, and again. It is remembered, until the directory was emptied or repaired.
   */
  disowned({ message, facts }: Fault, by: string): void {
    const disowned = { reason: String(facts.reason), message, by };
    try {
      this.#options.replica.state.saveDisowned(disowned);
    } catch (err) {
      this.#options.logger.warn({ err }, "that this directory is refused could not be stored");
    }
    this.#standAside(disowned);
  }

  #standAside({ message, by }: Disowned): void {
    const { replica, readiness, logger } = this.#options;
    logger.error(
      { by, why: message },
      "this node takes no part: the other members refuse its data directory",
    );
    readiness.set("identity", `this node takes no part in its cluster, ${message}`);
    replica.outside = new Fault("failed-precondition", {
      message: `this node takes no part in its cluster, ${message}`,
      facts: this.#memberFacts(),
    });
  }

  /** Where the members are, for a caller that has asked a node that is not a member. */
  #memberFacts(): Facts {
    const { replica } = this.#options;
    const configuration = replica.started
      ? replica.node.configuration
      : replica.state.configurationAt(Number.MAX_SAFE_INTEGER);
    const members = configuration.roster?.members ?? [];
    const others = members.filter(({ directory }) => directory !== replica.identity.directory);
    return others.length === 0 ? {} : { members: others.map(({ address }) => address).join(" ") };
  }

  /** A leader that is about to stop gives leadership away, if somebody takes it in time. */
  handOver(withinMs: number): Promise<void> {
    return this.#members.handOver(withinMs);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#stopListening();
    this.#founding?.[Symbol.dispose]();
    this.#reconciler[Symbol.dispose]();
    this.#readiness?.[Symbol.dispose]();
    this.#diskWatch?.[Symbol.dispose]();
  }

  // ————— belonging

  /** A restored log keeps the id of its cluster unless told otherwise. */
  #newId(): string {
    const { replica, config, newClusterId } = this.#options;
    return replica.state.clusterId ?? config.clusterId ?? replica.state.restoredFrom ?? newClusterId();
  }

  #begin(clusterId: string, founders: readonly Founder[]): void {
    const { replica, logger, clock } = this.#options;
    replica.bootstrap(
      founders.map((founder) => ({ ...founder, peer: peerOf(Buffer.from(founder.directory, "hex")) })),
      clusterId,
    );
    logger.info({ clusterId, members: founders.map(({ name }) => name) }, "a cluster begins");
    this.#tellId();
    this.#run();
    if (founders.length === 1 || founders[0]?.directory !== this.#founder.directory) return;
    clock.after(firstElectionMs, () => {
      if (!this.#closed && replica.node.leader === undefined) replica.node.campaign();
    });
  }

  /** It has a configuration. Only its id can be missing, after a repair. */
  #resume(): void {
    const { replica, config } = this.#options;
    if (replica.state.clusterId === undefined) {
      const { voters } = replica.state.configurationAt(replica.storedLog.commitIndex);
      const alone = voters.length === 1 && voters[0] === replica.identity.peer;
      const id = config.clusterId ?? (alone ? this.#newId() : undefined);
      if (id === undefined) {
        this.#wait("the id of this node's cluster is lost, give --cluster-id");
        return;
      }
      replica.state.saveClusterId(id);
      this.#tellId();
    }
    this.#run();
  }

  #expect(expect: number): void {
    const { network, clock, clusterIdOf, config } = this.#options;
    this.#founding = new Founding({
      self: this.#founder,
      wants: { expect, startOffset: config.initialOffset, clusterId: config.clusterId },
      addresses: () => this.#candidates().map(({ address }) => address),
      ask: async (address) => founderReplyOf(await network.ask(address, "founders", {})),
      idOf: clusterIdOf,
      clock,
      told: (verdict) => this.#judged(verdict),
    });
    this.#wait(`1 of ${expect} nodes are here to begin the cluster`);
    this.#founding.start();
  }

  #judged(verdict: Verdict): void {
    if (verdict.kind === "wait") this.#wait(verdict.why);
    else if (verdict.kind === "begin") this.#begin(verdict.clusterId, verdict.founders);
    else this.#wait(`there is the cluster ${verdict.clusterId} already, this node waits to be added to it`);
  }

  #wait(why: string): void {
    const { readiness, logger, replica } = this.#options;
    replica.waitsFor = why;
    if (readiness.reasons().includes(why)) return;
    logger.info({ why }, "not in a cluster yet");
    readiness.set(reason, why);
  }

  #run(): void {
    const { replica, readiness, network, clock, logger } = this.#options;
    this.#membership = replica.configured ? "member" : "waits";
    if (!replica.configured) this.#wait(`this node waits to be added to cluster ${this.clusterId}`);
    this.#stopListening = replica.onChange(() => this.#noteMembership());
    replica.start();
    this.#readiness = new LeaderReadiness(replica, readiness, clock);
    this.#diskWatch = new DiskWatch({
      replica,
      readiness,
      ask: (at, verb, body, deadlineMs) => network.ask(at, verb, body, { deadlineMs }),
      handOver: (withinMs, suits) => this.#members.handOver(withinMs, suits),
      clock,
      logger,
    });
    // Not before there is another reason: it would be ready for a moment.
    if (this.#membership === "member") readiness.set(reason, undefined);
    this.#noteMembership();
    this.#reconciler.look();
  }

  /**
   * In or out? Its own configuration says so, once the change has come here. A node that was told that it is out, and
   * whose configuration is older, has a leader again only when it was taken back.
   */
  #noteMembership(): void {
    const { replica, readiness } = this.#options;
    if (!replica.configured) return;
    const { leader, configuration } = replica.node;
    const named = configuration.roster?.members.some(({ peer }) => peer === replica.identity.peer) === true;
    if (!named && this.#membership === "member") this.#isOut("this node was removed from its cluster");
    if (this.#membership === "told" && (!named || leader === undefined)) this.#membership = "gone";
    const back = this.#membership === "gone" && named && leader !== undefined;
    if (!back && this.#membership !== "waits") return;
    this.#membership = "member";
    readiness.set(reason, undefined);
    replica.outside = undefined;
  }

  #isOut(why: string): void {
    const { readiness, logger, replica } = this.#options;
    if (this.#membership === "told" || this.#membership === "gone") return;
    this.#membership = "told";
    logger.warn({}, why);
    readiness.set(reason, why);
    const facts = this.#memberFacts();
    const where = facts.members === undefined ? "" : `, its members are at ${facts.members}`;
    replica.outside = new Fault("failed-precondition", { message: `${why}${where}`, facts });
  }

  #tellId(): void {
    const { gossip, logger } = this.#options;
    gossip
      .setClusterId(this.clusterId)
      .catch((err: unknown) => logger.warn({ err }, "gossip was not told the cluster"));
  }

  /** Everybody of ours but this node, as gossip has them; and members that call us from where they were not before. */
  #candidates(): Candidate[] {
    const { gossip, network, replica } = this.#options;
    const told = gossip.members().flatMap(({ name, status, node }) => {
      if (node === undefined || name === replica.identity.name) return [];
      if (status !== "alive" && status !== "suspect") return [];
      const { rpcAddr, directory, clusterId } = node;
      return [{ name, address: rpcAddr, directory, clusterId }];
    });
    const isTold = (hello: PeerHello): boolean =>
      told.some(({ address, directory }) => address === hello.address && directory === hello.directory);
    return [...told, ...network.moved().filter((hello) => !isTold(hello))];
  }

  // ————— what other nodes ask

  #room(): RoomAnswer {
    return { takesRecords: this.#options.replica.obstacle === undefined };
  }

  #founderReply(): FounderReply {
    const { replica, config } = this.#options;
    const { state, storedLog } = replica;
    const self = this.#founder;
    if (state.clusterId !== undefined || replica.configured) {
      const members = state.configurationAt(0).roster?.members ?? [];
      const founders = members.map(({ name, directory, address }) => ({ name, directory, address }));
      return { self, answer: { kind: "begun", clusterId: state.clusterId ?? "", founders } };
    }
    if (storedLog.end.index > 0) return { self, answer: { kind: "holds", name: self.name } };
    const nobody = { expect: 0, startOffset: config.initialOffset, clusterId: undefined, founders: [self] };
    const answer: FounderAnswer = { kind: "view", view: this.#founding?.view ?? nobody };
    return { self, answer };
  }

  /** The leader of a cluster takes this node in: from now on it belongs there. */
  #adopt(body: unknown, from: PeerHello): null {
    const { replica, config, logger } = this.#options;
    const { clusterId, startOffset } = body as Record<string, unknown>;
    const isOffset = typeof startOffset === "number" && Number.isSafeInteger(startOffset) && startOffset >= 0;
    if (typeof clusterId !== "string" || clusterId === "" || !isOffset) {
      throw new Fault("bad-request", { message: "the order adopt is malformed" });
    }
    const known = replica.state.clusterId;
    if (known === clusterId) return null;
    const wanted = known ?? config.clusterId ?? replica.state.restoredFrom;
    if (clusterId !== from.clusterId || replica.configured || (wanted ?? clusterId) !== clusterId) {
      throw new Fault("failed-precondition", {
        message: `${replica.identity.name} does not join cluster ${clusterId}`,
        facts: wanted === undefined ? {} : { cluster: wanted },
      });
    }
    this.#founding?.[Symbol.dispose]();
    replica.state.saveClusterId(clusterId);
    const { storedLog } = replica;
    if (storedLog.end.index === 0 && storedLog.end.nextOffset !== startOffset) {
      const checkpoint = { ...emptyCheckpoint, lowest: startOffset };
      storedLog.reset({ end: { ...chainStart, nextOffset: startOffset }, checkpoint });
    }
    logger.info({ clusterId, leader: from.name }, "taken into a cluster");
    this.#tellId();
    this.#run();
    return null;
  }

  /** Late: found out by a leader that met this node again. One that has a leader may have been taken back since. */
  #removed(body: unknown, from: PeerHello): null {
    const { replica } = this.#options;
    const { late } = body as Record<string, unknown>;
    if (from.clusterId !== this.clusterId || !replica.started) return null;
    if (late === true && replica.node.leader !== undefined) return null;
    this.#isOut("this node was removed from its cluster");
    this.#noteMembership();
    return null;
  }
}

/**
 * What a node does while its own disk takes no records (no room, no descriptor): it says so in its readiness, and a leader
 * hands over to a voter whose disk does. When no other voter has room the leader stays, and asks again after a growing pause.
 *
 * It looks twice a second while the disk takes nothing, and not at all otherwise.
 */

import { fieldsOf } from "../../lib/fields.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Member } from "../../raft/mod.ts";
import type { Replica } from "../../replication/mod.ts";
import type { NodeReadiness } from "../node-readiness.ts";

export interface DiskWatchOptions {
  readonly replica: Pick<Replica, "obstacle" | "onObstacle" | "identity"> & {
    readonly node: Pick<Replica["node"], "isLeader" | "configuration">;
  };
  readonly readiness: Pick<NodeReadiness, "set">;
  /** Asks another node, within a deadline of the monotonic clock. */
  readonly ask: (address: string, verb: string, body: unknown, deadlineMs: number) => Promise<unknown>;
  /** Hands leadership to the furthest of the voters that `suits` names; resolves in time, whatever comes of it. */
  readonly handOver: (withinMs: number, suits: (member: Member) => boolean) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The verb, and what a node answers: whether its disk takes records. */
export const roomVerb = "room";
export interface RoomAnswer {
  readonly takesRecords: boolean;
}

const reason = "disk";
const lookMs = 500;
const answerMs = 1_000;
const transferMs = 2_000;
/** Between two attempts to hand over: doubled each time, up to the longest. */
const pauseMs = { first: 1_000, longest: 60_000 };

export class DiskWatch implements Disposable {
  readonly #options: DiskWatchOptions;
  readonly #stopListening: () => void;
  #timer: Timer | undefined;
  #pauseMs = pauseMs.first;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #isHandingOver = false;
  #closed = false;

  /** The replica has been started. */
  constructor(options: DiskWatchOptions) {
    this.#options = options;
    this.#stopListening = options.replica.onObstacle(() => this.#lookSoon());
    this.#look();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#stopListening();
    this.#timer?.cancel();
  }

  #lookSoon(): void {
    const { clock } = this.#options;
    // In the middle of a write now.
    clock.soon(() => this.#look());
  }

  #look(): void {
    if (this.#closed) return;
    const { replica, readiness, clock } = this.#options;
    const { obstacle } = replica;
    readiness.set(reason, obstacle?.message);
    if (obstacle === undefined) {
      this.#pauseMs = pauseMs.first;
      this.#notBeforeMs = Number.NEGATIVE_INFINITY;
      return;
    }
    if (!this.#isHandingOver && replica.node.isLeader && clock.monotonicMs() >= this.#notBeforeMs) {
      void this.#handOver();
    }
    this.#timer ??= clock.after(lookMs, () => {
      this.#timer = undefined;
      this.#look();
    });
  }

  async #handOver(): Promise<void> {
    const { clock, logger } = this.#options;
    this.#isHandingOver = true;
    try {
      await this.#handOverToRoom();
    } catch (err) {
      logger.warn({ err }, "leadership could not be handed over, it is tried again");
    }
    this.#isHandingOver = false;
    this.#notBeforeMs = clock.monotonicMs() + this.#pauseMs;
    this.#pauseMs = Math.min(pauseMs.longest, 2 * this.#pauseMs);
  }

  async #handOverToRoom(): Promise<void> {
    const { replica, handOver, logger } = this.#options;
    const suited = await this.#withRoom();
    const names = [...suited];
    if (!this.#closed && names.length > 0) {
      logger.warn({ to: names }, "this node's disk takes no records: it hands leadership over");
      await handOver(transferMs, ({ name }) => suited.has(name));
    } else if (!this.#closed && replica.node.configuration.voters.length > 1) {
      logger.warn({}, "this node's disk takes no records, and no other voter says that its disk does");
    }
  }

  /** Names of the other voters that answer and say that they take records. */
  async #withRoom(): Promise<ReadonlySet<string>> {
    const { replica, ask, clock } = this.#options;
    const { voters, roster } = replica.node.configuration;
    const others = (roster?.members ?? []).filter(
      ({ peer }) => peer !== replica.identity.peer && voters.includes(peer),
    );
    const deadlineMs = clock.monotonicMs() + answerMs;
    const answers = await Promise.all(
      others.map(({ address }) => ask(address, roomVerb, {}, deadlineMs).catch(() => undefined)),
    );
    return new Set(others.filter((_, at) => takesRecords(answers[at])).map(({ name }) => name));
  }
}

const takesRecords = (answer: unknown): boolean => fieldsOf(answer)["takesRecords"] === true;

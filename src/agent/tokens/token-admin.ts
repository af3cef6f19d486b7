/**
 * Changes keys and revocations of tokens. The leader decides, one change after another, and appends what it decided to the log
 * `_tokens` at the offset for which it decided. Any other node forwards the request with the identity of the operator, and the
 * leader checks the permission again.
 */
import { logObject, type Principal } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import { tokensLog } from "../../lib/names/log-name.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { encodeRun, tokensLevel } from "../../log/mod.ts";
import type { Replica } from "../../replication/mod.ts";
import {
  changesFor,
  encodeChange,
  isSessionRequest,
  requestFrom,
  type TokenChange,
  type TokenRequest,
  type TokenState,
} from "../../tokens/mod.ts";
import { type AskLeaderPorts, askLeader } from "../cluster/ask-leader.ts";
import { ChangeQueue, sessionChangesMax, tooManySessionChanges } from "./change-queue.ts";
import type { TokenRegistry } from "./token-registry.ts";

export interface TokenAdminOptions {
  readonly replica: AskLeaderPorts["replica"] & Pick<Replica, "ready" | "log">;
  readonly registry: Pick<TokenRegistry, "state" | "next" | "refresh">;
  /** The id of the cluster; undefined while this node belongs to none. */
  readonly audience: () => string | undefined;
  readonly ask: AskLeaderPorts["ask"];
  readonly authorize: (caller: Principal, object: string, action: "admin") => void;
  readonly clock: Clock;
}

/** The verb on the peer link. Its body is { subject, isPeer, request }. */
export const tokensVerb = "tokens";

const changeMs = 10_000;
/** Attempts of a change: another leader may have changed something in between. */
const attemptsMax = 5;
/** Records beyond twice what counts, after which the log is written again and trimmed. */
const spareRecordsMax = 256;

export class TokenAdmin {
  readonly #options: TokenAdminOptions;
  readonly #queue = new ChangeQueue();
  /** Changes about sessions that the leader was asked for. */
  #forwarded = 0;

  constructor(options: TokenAdminOptions) {
    this.#options = options;
  }

  /** @throws Fault "unavailable" */
  get audience(): string {
    const audience = this.#options.audience();
    if (audience !== undefined) return audience;
    throw new Fault("unavailable", { message: "this node belongs to no cluster yet" });
  }

  /** The state after all changes that were acknowledged before. @throws Fault "unavailable" */
  async state(): Promise<TokenState> {
    await this.#options.registry.refresh();
    return this.#options.registry.state;
  }

  /**
   * Resolves when the change is durable, and this node shows it.
   * @throws what changesFor() throws, "unavailable"; "overloaded" for a change about a session
   */
  async change(request: TokenRequest, { subject, isPeer }: Principal): Promise<void> {
    const { replica, registry } = this.#options;
    if (replica.ready) return this.#inTurn(request, subject);
    const body = { request, subject, isPeer };
    if (isSessionRequest(request)) await this.#forward(body);
    else await askLeader(this.#options, tokensVerb, body);
    // It is done, also if this node cannot be brought up to date now.
    await registry.refresh().catch(() => undefined);
  }

  /** Executes a request that another node forwarded. @throws as change(), "permission-denied" */
  async answer(body: unknown): Promise<null> {
    const { request, subject, isPeer } = (body ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof subject !== "string")
      throw new Fault("bad-request", { message: "the peer's request about tokens is malformed" });
    const asked = requestFrom(request);
    // The node that asks has looked at the session.
    if (!isSessionRequest(asked))
      this.#options.authorize({ subject, isPeer: isPeer === true }, logObject, "admin");
    await this.#inTurn(asked, subject);
    return null;
  }

  /** Forwards a change about a session. Any user can cause one, also while there is no leader. */
  async #forward(body: object): Promise<void> {
    if (this.#forwarded >= sessionChangesMax) throw tooManySessionChanges();
    this.#forwarded++;
    try {
      await askLeader(this.#options, tokensVerb, body);
    } finally {
      this.#forwarded--;
    }
  }

  #inTurn(request: TokenRequest, subject: string): Promise<void> {
    return this.#queue.run(isSessionRequest(request), () => this.#here(request, subject));
  }

  async #here(request: TokenRequest, subject: string): Promise<void> {
    const { replica, registry, clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + changeMs;
    for (let attempt = 1; ; attempt++) {
      if (!replica.ready) throw new Fault("not-leader");
      await registry.refresh();
      const present = replica.log.named.admin.presentTime();
      const changes = changesFor(registry.state, request, present, subject);
      if (changes.length === 0) return;
      try {
        await this.#append(changes, deadlineMs);
        await registry.refresh();
        break;
      } catch (reason) {
        if (Fault.from(reason).kind !== "offset-mismatch" || attempt === attemptsMax) throw reason;
      }
    }
    // What was changed is durable. A log that was not written again is written again after the next change.
    await this.#compact(deadlineMs).catch(() => undefined);
  }

  async #append(changes: readonly TokenChange[], deadlineMs: number): Promise<number> {
    const { replica, registry } = this.#options;
    const { named } = replica.log;
    const late = "nothing was changed in time: the cluster was not yet prepared for tokens";
    await named.admin.level.prepare(tokensLevel, deadlineMs, late);
    await named.admin.creation.create(tokensLog, {}, undefined, deadlineMs);
    const run = encodeRun(changes.map((change) => ({ value: encodeChange(change) })));
    const options = { expectedOffset: registry.next, deadlineMs, forward: false } as const;
    const { firstOffset } = await named.open({ name: tokensLog }).append(run, options);
    return firstOffset;
  }

  /**
   * Writes what counts as one batch, and trims the records before. It does nothing while the clock is not trusted: a clock that is
   * ahead would delete revocations that still count.
   */
  async #compact(deadlineMs: number): Promise<void> {
    const { replica, registry } = this.#options;
    const { nowMs, isTrusted } = replica.log.named.admin.presentTime();
    if (!isTrusted) return;
    const changes = registry.state.compacted(nowMs);
    if (registry.state.records <= 2 * changes.length + spareRecordsMax) return;
    const first = await this.#append(changes, deadlineMs);
    await replica.log.named.admin.trim({ name: tokensLog }, first, deadlineMs);
  }
}

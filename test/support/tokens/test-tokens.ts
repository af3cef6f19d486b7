/** Tokens for tests: a key, what the cluster knows of it, a verifier of what it signs, and tickets of one node. */
import { randomBytes } from "node:crypto";
import { TicketDesk } from "../../../src/agent/tokens/ticket-desk.ts";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { issueToken, makeSigningKey, type SigningKey } from "../../../src/tokens/issue-token.ts";
import { type TokenChange, TokenState, TokenVerifier } from "../../../src/tokens/mod.ts";
import type { TokenVerifierOptions } from "../../../src/tokens/token-verifier.ts";

export const testAudience = "a-cluster";

export class TestTokens {
  readonly key: SigningKey;
  readonly state = new TokenState();
  version = 1;
  nowMs: () => number = () => systemClock.wallMs();
  /** What the leader would say; counted in `refreshes`. */
  onRefresh: () => void = () => undefined;
  refreshes = 0;
  readonly verifier: TokenVerifier;
  readonly tickets: TicketDesk;
  /** Called after each change. */
  onChange: () => void = () => undefined;
  #issued = 0;

  private constructor(key: SigningKey, options: Partial<TokenVerifierOptions>) {
    this.key = key;
    this.verifier = new TokenVerifier({
      source: this,
      clusterId: () => testAudience,
      isConfirmed: () => true,
      refresh: async () => {
        this.refreshes++;
        this.onRefresh();
      },
      clock: { ...systemClock, wallMs: () => this.nowMs() },
      ...options,
    });
    this.tickets = new TicketDesk({
      node: "test",
      addressOf: () => undefined,
      ask: () => Promise.reject(new Error("there is no other node")),
      source: this,
      random: randomBytes,
      clock: systemClock,
    });
  }

  static async make(options: Partial<TokenVerifierOptions> = {}): Promise<TestTokens> {
    const tokens = new TestTokens({ ...(await makeSigningKey()), audience: testAudience }, options);
    tokens.add(tokens.key);
    return tokens;
  }

  add(key: SigningKey, retiresMs?: number): void {
    const added = { id: key.kid, x: key.x, addedMs: 0, retiresMs, addedBy: "local" };
    this.change({ kind: "key", key: added });
  }

  change(change: TokenChange): void {
    this.state.apply(change);
    this.version++;
    this.onChange();
  }

  /** Ids are t1, t2, … */
  issue(
    subject: string,
    wish: {
      readonly scope?: string;
      readonly lifeMs?: number;
      readonly key?: SigningKey;
      readonly id?: string;
    } = {},
  ): Promise<string> {
    const { scope, lifeMs = 600_000, key = this.key, id = `t${++this.#issued}` } = wish;
    return issueToken(key, { subject, scope, lifeMs, id, nowMs: this.nowMs() });
  }
}

/**
 * Sessions of browsers. The cookie of a session holds the token with which the user logged in, sealed with a key of the cluster. So each
 * node can serve it, and it gives what the token gives. The key of the seal does not make a session: that needs a valid token.
 *
 *   open a session: verify the token → seal it with a new id        use it: unseal → verify the token       log out: revoke the id
 */
import { hash } from "node:crypto";
import type { Identity } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import { clientNetworkOf } from "../../lib/names/client-network.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { FailedAttempts } from "../failed-attempts.ts";
import { cookieCharsMax, sessionKeyLifeMs, sessionLifeMsMax } from "../limits.ts";
import type { SessionRequest } from "../token-requests.ts";
import type { SessionKey } from "../token-state.ts";
import { refused, type TokenSource } from "../verified-token.ts";
import { seal, sealKeyIdOf, unseal } from "./seal.ts";
import { newSessionId, SessionToken } from "./session-token.ts";
import { decodeSession, encodeSession } from "./session-value.ts";

export interface SessionsOptions {
  readonly source: TokenSource;
  /** Verifies tokens. `peer` is the address and port of the client. Undefined: a failed attempt is not counted. */
  readonly identify: (token: string, peer: string | undefined) => Promise<Identity>;
  /** Undefined while this node belongs to no cluster. */
  readonly clusterId: () => string | undefined;
  /** True once the state was compared with that of the leader since the start. */
  readonly isConfirmed: () => boolean;
  /** Resolves once this node has all changes that were acknowledged before. @throws Fault "unavailable" */
  readonly refresh: () => Promise<void>;
  /** Makes a change durable. */
  readonly change: (request: SessionRequest) => Promise<void>;
  readonly random: (bytes: number) => Uint8Array;
  readonly clock: Clock;
}

export interface OpenedSession {
  /** For the cookie. */
  readonly value: string;
  readonly expiresMs: number;
  readonly identity: Identity;
}

interface KnownSession {
  readonly id: string;
  readonly identity: Identity;
}

/** Sessions that are remembered. */
const keptMax = 8_192;

const digestOf = (value: string): string => hash("sha256", value, "base64");
const invalidSession = (why: string): Fault =>
  refused("SESSION_INVALID", `the cookie of the session is not valid: ${why}`);

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #failures = new FailedAttempts();
  /** Hash of the cookie → the session. The one that was added last is last. */
  readonly #known = new Map<string, KnownSession>();
  #clusterTag: string | undefined;
  /** The new key that is being made. */
  #making: Promise<SessionKey> | undefined;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** 8 characters that tell the cookies of this cluster from those of another one. Undefined while this node belongs to no cluster. */
  get clusterTag(): string | undefined {
    const clusterId = this.#options.clusterId();
    if (clusterId === undefined) return undefined;
    this.#clusterTag ??= hash("sha256", clusterId, "hex").slice(0, 8);
    return this.#clusterTag;
  }

  /**
   * Opens a session with a token.
   * @throws Fault "unauthenticated", "overloaded" for a token that is not valid; "too-large" for one that fits into no cookie;
   *   "unavailable"
   */
  async open(token: string, peer: string): Promise<OpenedSession> {
    const { identify, random, clock, source } = this.#options;
    const identity = await identify(token, peer);
    const id = newSessionId(identity.subject, random);
    const nowMs = clock.wallMs();
    const expiresMs = Math.min(identity.token?.expiresMs ?? 0, nowMs + sessionLifeMsMax);
    const value = await this.seal("session", encodeSession({ id, expiresMs, token }));
    if (value.length > cookieCharsMax)
      throw new Fault("too-large", {
        message: `the token has ${token.length} bytes, with which the cookie has ${value.length}, and a browser keeps ${cookieCharsMax}: use a token with fewer claims or scopes`,
        facts: { limit: cookieCharsMax, found: value.length },
      });
    if (identity.token === undefined) throw invalidSession("it has no token");
    const rights = new SessionToken({
      token: identity.token,
      id,
      expiresMs,
      source,
      wallMs: () => clock.wallMs(),
    });
    return { value, expiresMs, identity: { ...identity, token: rights } };
  }

  /** Returns the identity of a session, if it was used before and is still valid. */
  known(value: string): Identity | undefined {
    const known = this.#known.get(digestOf(value))?.identity;
    return known?.token?.invalid() === undefined ? known : undefined;
  }

  /** Resolves to the identity of a session. @throws as open() */
  async identify(value: string, peer: string): Promise<Identity> {
    return (await this.#session(value, peer)).identity;
  }

  /** Ends a session: on each node, with all that runs with it. @throws as open(); then the session is not ended */
  async end(value: string, peer: string): Promise<void> {
    const { id, identity } = await this.#session(value, peer);
    await this.#options.change({ kind: "end-session", id, untilMs: identity.token?.expiresMs ?? 0 });
  }

  /** Seals bytes with a key of the cluster, which is made if there is none. @throws Fault "unavailable" */
  async seal(purpose: string, plain: Uint8Array): Promise<string> {
    const { random } = this.#options;
    return seal(await this.#sealKey(), this.#place(purpose), plain, random(12));
  }

  /** Resolves to what was sealed for this purpose; undefined for any other text. @throws Fault "unavailable" */
  async unseal(purpose: string, value: string): Promise<Uint8Array | undefined> {
    const { source, refresh } = this.#options;
    if (value.length > cookieCharsMax) return undefined;
    const id = sealKeyIdOf(value);
    // The key may have been made a moment ago.
    if (!source.state.sessionKeys.has(id)) await refresh();
    const key = source.state.sessionKeys.get(id);
    return key === undefined ? undefined : unseal(key.key, this.#place(purpose), value);
  }

  async #session(value: string, peer: string): Promise<KnownSession> {
    const digest = digestOf(value);
    const known = this.#known.get(digest);
    if (known !== undefined) {
      const fault = known.identity.token?.invalid();
      if (fault === undefined) return known;
      this.#known.delete(digest);
      throw fault;
    }
    const opened = await this.#opened(value, peer);
    if (this.#known.size >= keptMax)
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    this.#known.set(digest, opened);
    return opened;
  }

  async #opened(value: string, peer: string): Promise<KnownSession> {
    const { identify, isConfirmed, refresh, clock, source } = this.#options;
    const network = clientNetworkOf(peer);
    const waitMs = this.#failures.waitMs(network, clock.monotonicMs());
    if (waitMs > 0)
      throw new Fault("overloaded", {
        message: `too many cookies from this address were not valid; the next one is looked at in ${Math.ceil(waitMs / 1000)} s`,
      });
    if (!isConfirmed()) await refresh();
    const bytes = await this.unseal("session", value);
    const session = bytes === undefined ? undefined : decodeSession(bytes);
    if (session === undefined) {
      this.#failures.failed(network, clock.monotonicMs());
      throw invalidSession("it is not one of this cluster, or was changed");
    }
    // It is a session of this cluster. A browser whose session has ended does not guess.
    const identity = await identify(session.token, undefined);
    if (identity.token === undefined) throw invalidSession("it has no token");
    const { id, expiresMs } = session;
    const rights = new SessionToken({
      token: identity.token,
      id,
      expiresMs,
      source,
      wallMs: () => clock.wallMs(),
    });
    const fault = rights.invalid();
    if (fault !== undefined) throw fault;
    return { id, identity: { ...identity, token: rights } };
  }

  #place(purpose: string) {
    const clusterId = this.#options.clusterId();
    if (clusterId === undefined)
      throw new Fault("unavailable", {
        message: "this node belongs to no cluster yet, so it has no sessions",
      });
    return { purpose, clusterId };
  }

  /** The newest key, or a new one if that is old. */
  async #sealKey(): Promise<SessionKey> {
    const { source, clock, isConfirmed, refresh } = this.#options;
    if (!isConfirmed()) await refresh();
    const before = source.state.newestSessionKey;
    if (before !== undefined && clock.wallMs() < before.addedMs + sessionKeyLifeMs) return before;
    // Requests that need it at the same time cause one change. They need no credentials.
    this.#making ??= this.#makeSealKey(before).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #makeSealKey(before: SessionKey | undefined): Promise<SessionKey> {
    const { source, change, random, refresh } = this.#options;
    const newest = (): SessionKey | undefined => source.state.newestSessionKey;
    const [id, key] = [random(9), random(32)].map((bytes) => Buffer.from(bytes).toString("base64url"));
    await change({ kind: "session-key", id: id ?? "", key: key ?? "" });
    // On another node than the leader, the change may not have arrived.
    if (newest() === before) await refresh();
    const made = newest();
    if (made === undefined) throw new Fault("unavailable", { message: "the key of sessions was not made" });
    return made;
  }
}

/**
 * What an administrator asks for, and what it changes. Pure: the leader decides with the state after everything that was
 * changed before.
 */
import { createHash } from "node:crypto";
import { isSubjectName } from "../access/mod.ts";
import { Fault } from "../fault.ts";
import {
  endedSessionsMax,
  endedSessionsOfSubjectMax,
  idCharsMax,
  keysMax,
  revocationSpareMs,
  revokedIdsMax,
  revokedSubjectsMax,
  sessionKeyLifeMs,
  sessionLifeMsMax,
  tokenLifeMsMax,
} from "./limits.ts";
import { revokedSessionId, revokedSubjectPrefix, sessionIdPrefix } from "./sessions/session-token.ts";
import { isId, isSealKey, type TokenChange, type TokenKey, type TokenState } from "./token-state.ts";

export type TokenRequest =
  /** The tokens of the key `replaces` stay valid for `retireAfterMs`. Default: until the last of them has expired. */
  | {
      readonly kind: "add-key";
      readonly x: string;
      readonly replaces?: string;
      readonly retireAfterMs?: number;
    }
  | { readonly kind: "remove-key"; readonly id: string }
  /** `expiresMs`: when the token expires, if that is known. */
  | { readonly kind: "revoke"; readonly id: string; readonly expiresMs?: number }
  | { readonly kind: "revoke-subject"; readonly subject: string }
  | SessionRequest;

/** What a node asks for in the name of a browser. It needs no right. */
export type SessionRequest =
  /** Adds the key if the newest one is old. */
  | { readonly kind: "session-key"; readonly id: string; readonly key: string }
  | { readonly kind: "end-session"; readonly id: string; readonly untilMs: number };

export const isSessionRequest = (request: TokenRequest): request is SessionRequest =>
  request.kind === "session-key" || request.kind === "end-session";

/** Returns the id of a public key: its thumbprint (RFC 7638). `x` is in base64url. */
export const keyIdOf = (x: string): string =>
  createHash("sha256")
    .update(JSON.stringify({ crv: "Ed25519", kty: "OKP", x }))
    .digest("base64url");

/** The present time of the leader, in ms since 1970. It can be wrong by days while the clock is not trusted. */
export interface TokenTime {
  readonly nowMs: number;
  readonly isTrusted: boolean;
}

/**
 * Returns the changes that the request makes; none if all is so already.
 * @throws Fault "bad-request", "not-found", "failed-precondition", "quota-exceeded"
 */
export function changesFor(
  state: TokenState,
  request: TokenRequest,
  { nowMs, isTrusted }: TokenTime,
  subject: string,
): readonly TokenChange[] {
  switch (request.kind) {
    case "add-key":
      return addKey(state, request, nowMs, subject);
    case "remove-key":
      if (!state.keys.has(request.id)) throw noSuchKey(request.id);
      return [request];
    case "revoke":
      return revoke(state, request, nowMs);
    case "revoke-subject":
      if (!isSubjectName(request.subject))
        throw badRequest(`"${request.subject}" cannot be a subject`, "subject");
      if (!state.revokedSubjects.has(request.subject) && state.revokedSubjects.size >= revokedSubjectsMax)
        throw tooMany("subjects whose tokens are revoked", revokedSubjectsMax);
      return [{ kind: "revoke-subject", subject: request.subject, issuedUntilMs: nowMs }];
    case "session-key":
      return addSessionKey(state, request, nowMs);
    case "end-session":
      return endSession(state, request, { nowMs, isTrusted });
  }
}

function addKey(
  state: TokenState,
  { x, replaces, retireAfterMs = tokenLifeMsMax }: Extract<TokenRequest, { kind: "add-key" }>,
  nowMs: number,
  subject: string,
): readonly TokenChange[] {
  const bytes = Buffer.from(x, "base64url");
  if (bytes.length !== 32 || bytes.toString("base64url") !== x)
    throw badRequest("a key of tokens is a public key of Ed25519, 32 bytes", "public_key");
  if (!(retireAfterMs >= 0 && retireAfterMs <= tokenLifeMsMax))
    throw badRequest(`the time until a key retires is 0 to ${tokenLifeMsMax} ms`, "retire_after_ms");
  const id = keyIdOf(x);
  const known = state.keys.get(id);
  // A key that retires is not taken again: who replaced it may have lost it.
  if (known?.retiresMs !== undefined)
    throw new Fault("failed-precondition", {
      message: `the key ${id} was replaced, it cannot be added again: make a new one`,
    });
  const changes: TokenChange[] = [];
  if (known === undefined) {
    const live = [...state.keys.values()].filter(({ retiresMs = nowMs + 1 }) => retiresMs > nowMs);
    if (live.length >= keysMax) throw tooMany("keys of tokens", keysMax);
    for (const key of state.keys.values())
      if (key.retiresMs !== undefined && key.retiresMs <= nowMs)
        changes.push({ kind: "remove-key", id: key.id });
    const key: TokenKey = { id, x, addedMs: nowMs, retiresMs: undefined, addedBy: subject };
    changes.push({ kind: "key", key });
  }
  if (replaces !== undefined && replaces !== id) {
    const old = state.keys.get(replaces);
    if (old === undefined) throw noSuchKey(replaces);
    const retiresMs = Math.min(nowMs + retireAfterMs, old.retiresMs ?? Number.POSITIVE_INFINITY);
    if (retiresMs !== old.retiresMs) changes.push({ kind: "key", key: { ...old, retiresMs } });
  }
  return changes;
}

function revoke(
  state: TokenState,
  { id, expiresMs }: Extract<TokenRequest, { kind: "revoke" }>,
  nowMs: number,
): readonly TokenChange[] {
  if (!isId(id)) throw badRequest(`the id of a token has 1 to ${idCharsMax} letters, digits and ._~-`, "id");
  const longestMs = nowMs + tokenLifeMsMax;
  const untilMs = Math.min(expiresMs ?? longestMs, longestMs) + revocationSpareMs;
  const known = state.revokedIds.get(id);
  if (known !== undefined && known >= untilMs) return [];
  if (known === undefined) {
    if (isFull(state, false, revokedIdsMax, nowMs)) throw tooMany("revoked tokens", revokedIdsMax);
  }
  return [{ kind: "revoke", id, untilMs }];
}

/**
 * Returns whether `limit` revoked ids of sessions, or of tokens, have not expired. Users who log out leave room for the
 * revocations of an administrator.
 */
function isFull({ revokedIds }: TokenState, ofSessions: boolean, limit: number, nowMs: number): boolean {
  if (revokedIds.size < limit) return false;
  let kept = 0;
  for (const [id, untilMs] of revokedIds)
    if (untilMs > nowMs && id.startsWith(sessionIdPrefix) === ofSessions) kept++;
  return kept >= limit;
}

function addSessionKey(
  { newestSessionKey: newest }: TokenState,
  { id, key }: Extract<TokenRequest, { kind: "session-key" }>,
  nowMs: number,
): readonly TokenChange[] {
  if (!isId(id) || !isSealKey(key)) throw badRequest("a key of sessions has 32 bytes and an id", "key");
  // Nodes ask at the same time.
  if (newest !== undefined && nowMs < newest.addedMs + sessionKeyLifeMs) return [];
  return [{ kind: "session-key", key: { id, key, addedMs: nowMs } }];
}

function endSession(
  state: TokenState,
  { id, untilMs }: Extract<TokenRequest, { kind: "end-session" }>,
  { nowMs, isTrusted }: TokenTime,
): readonly TokenChange[] {
  const revokedId = revokedSessionId(id);
  if (!/^[\w-]{22}$/.test(id)) throw badRequest("this cannot be the id of a session", "id");
  if (!Number.isFinite(untilMs)) throw badRequest("the end of a session is a time", "until_ms");
  // A clock that is not trusted can be ahead. The session may then be valid at nodes with the right time.
  if (state.revokedIds.has(revokedId) || (isTrusted && untilMs <= nowMs)) return [];
  if (countOf(state, revokedSubjectPrefix(id), nowMs) >= endedSessionsOfSubjectMax)
    throw tooManyEnded("a subject", endedSessionsOfSubjectMax);
  if (isFull(state, true, endedSessionsMax, nowMs)) throw tooManyEnded("a cluster", endedSessionsMax);
  return [
    {
      kind: "revoke",
      id: revokedId,
      untilMs: isTrusted ? Math.min(untilMs, nowMs + sessionLifeMsMax) : untilMs,
    },
  ];
}

/** Returns the number of revoked ids that begin with the prefix and have not expired. */
function countOf({ revokedIds }: TokenState, prefix: string, nowMs: number): number {
  let count = 0;
  for (const [id, untilMs] of revokedIds) if (untilMs > nowMs && id.startsWith(prefix)) count++;
  return count;
}

const tooManyEnded = (who: string, limit: number): Fault =>
  new Fault("quota-exceeded", {
    message: `${who} has at most ${limit} sessions that were logged out and have not expired: this one ends when its token does`,
    facts: { limit },
  });
const badRequest = (message: string, field: string): Fault =>
  new Fault("bad-request", { message, facts: { field } });
const noSuchKey = (id: string): Fault =>
  new Fault("not-found", { message: `there is no key ${id} of tokens`, facts: { name: id } });
const tooMany = (what: string, limit: number): Fault =>
  new Fault("quota-exceeded", {
    message: `a cluster has at most ${limit} ${what}: replace the key, or remove it, which ends all of its tokens`,
    facts: { limit },
  });

/** Returns the request in a value that another node sent. @throws Fault "bad-request" */
export function requestFrom(value: unknown): TokenRequest {
  const { kind, x, replaces, retireAfterMs, id, expiresMs, subject, key, untilMs } = (value ?? {}) as Record<
    string,
    unknown
  >;
  if (kind === "add-key" && typeof x === "string")
    return {
      ...{ kind, x },
      ...(typeof replaces === "string" ? { replaces } : {}),
      ...(typeof retireAfterMs === "number" ? { retireAfterMs } : {}),
    };
  if (kind === "remove-key" && typeof id === "string") return { kind, id };
  if (kind === "revoke" && typeof id === "string")
    return { kind, id, ...(typeof expiresMs === "number" ? { expiresMs } : {}) };
  if (kind === "session-key" && typeof id === "string" && typeof key === "string") return { kind, id, key };
  if (kind === "end-session" && typeof id === "string" && typeof untilMs === "number")
    return { kind, id, untilMs };
  if (kind === "revoke-subject" && typeof subject === "string") return { kind, subject };
  throw new Fault("bad-request", { message: "the peer's request about tokens is malformed" });
}

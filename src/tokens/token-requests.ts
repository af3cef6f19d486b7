/**
 * What an administrator asks for, and what it changes. Pure: the leader decides with the state after everything that was
 * changed before.
 */
import { createHash } from "node:crypto";
import { isSubjectName } from "../access/mod.ts";
import { Fault } from "../fault.ts";
import { idCharsMax, keysMax, revokedIdsMax, revokedSubjectsMax, tokenLifeMsMax } from "./limits.ts";
import { isId, type TokenChange, type TokenKey, type TokenState } from "./token-state.ts";

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
  | { readonly kind: "revoke-subject"; readonly subject: string };

/** Returns the id of a public key: its thumbprint (RFC 7638). `x` is in base64url. */
export const keyIdOf = (x: string): string =>
  createHash("sha256")
    .update(JSON.stringify({ crv: "Ed25519", kty: "OKP", x }))
    .digest("base64url");

/**
 * Returns the changes that the request makes; none if all is so already.
 * @throws Fault "bad-request", "not-found", "failed-precondition", "quota-exceeded"
 */
export function changesFor(
  state: TokenState,
  request: TokenRequest,
  nowMs: number,
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
  const untilMs = Math.min(expiresMs ?? longestMs, longestMs);
  const known = state.revokedIds.get(id);
  if (known !== undefined && known >= untilMs) return [];
  if (known === undefined) {
    let kept = 0;
    for (const keptMs of state.revokedIds.values()) if (keptMs > nowMs) kept++;
    if (kept >= revokedIdsMax) throw tooMany("revoked tokens", revokedIdsMax);
  }
  return [{ kind: "revoke", id, untilMs }];
}

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
  const { kind, x, replaces, retireAfterMs, id, expiresMs, subject } = (value ?? {}) as Record<
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
  if (kind === "revoke-subject" && typeof subject === "string") return { kind, subject };
  throw new Fault("bad-request", { message: "the peer's request about tokens is malformed" });
}

/**
 * The keys and the revocations of a cluster, as the records of its log `_tokens` define them. Pure.
 *
 *   record := ["clear"]                                     nothing of what was before counts; records with all that counts follow in
 *                                                           the same batch
 *           | ["key", id, x, addedMs, retiresMs | null, addedBy]        adds or replaces a public key; x is base64url
 *           | ["remove-key", id]
 *           | ["revoke", id, untilMs]                       no token of ours with this id is valid after `untilMs` anyway
 *           | ["session-key", id, key, addedMs]             adds a key that seals the cookies of sessions; 32 bytes in base64url
 *           | ["revoke-subject", subject, issuedUntilMs]    the tokens of this subject that were issued up to then
 *
 * A record states its effect: applying it decides nothing.
 */
import { Fault } from "../fault.ts";
import {
  idCharsMax,
  revocationSpareMs,
  sessionKeyLifeMs,
  sessionLifeMsMax,
  tokenLifeMsMax,
} from "./limits.ts";

/** A public key (Ed25519) of tokens. */
export interface TokenKey {
  /** The thumbprint of the key (RFC 7638): no key can have the id of another one. */
  readonly id: string;
  /** The key, 32 bytes in base64url. */
  readonly x: string;
  readonly addedMs: number;
  /** From then on its tokens are not valid. Undefined: not known yet. */
  readonly retiresMs: number | undefined;
  /** The subject that added it. */
  readonly addedBy: string;
}

/** A secret key that seals the cookies of sessions. */
export interface SessionKey {
  readonly id: string;
  /** 32 bytes in base64url. */
  readonly key: string;
  readonly addedMs: number;
}

export type TokenChange =
  | { readonly kind: "clear" }
  | { readonly kind: "key"; readonly key: TokenKey }
  | { readonly kind: "remove-key"; readonly id: string }
  | { readonly kind: "session-key"; readonly key: SessionKey }
  | { readonly kind: "revoke"; readonly id: string; readonly untilMs: number }
  | { readonly kind: "revoke-subject"; readonly subject: string; readonly issuedUntilMs: number };

export class TokenState {
  readonly keys = new Map<string, TokenKey>();
  /** Id of a token → when its revocation need not be kept any more. */
  readonly revokedIds = new Map<string, number>();
  /** Subject → its tokens that were issued up to then are revoked. */
  readonly revokedSubjects = new Map<string, number>();
  readonly sessionKeys = new Map<string, SessionKey>();
  /** The one that was added last. */
  newestSessionKey: SessionKey | undefined;
  /** Records since the last clear, and with it. */
  records = 0;

  apply(change: TokenChange): void {
    this.records++;
    switch (change.kind) {
      case "clear":
        this.keys.clear();
        this.revokedIds.clear();
        this.revokedSubjects.clear();
        this.sessionKeys.clear();
        this.newestSessionKey = undefined;
        this.records = 1;
        break;
      case "key":
        this.keys.set(change.key.id, change.key);
        break;
      case "session-key":
        this.sessionKeys.set(change.key.id, change.key);
        this.newestSessionKey = change.key;
        break;
      case "remove-key":
        this.keys.delete(change.id);
        break;
      case "revoke":
        this.revokedIds.set(change.id, Math.max(change.untilMs, this.revokedIds.get(change.id) ?? 0));
        break;
      case "revoke-subject": {
        const before = this.revokedSubjects.get(change.subject) ?? 0;
        this.revokedSubjects.set(change.subject, Math.max(change.issuedUntilMs, before));
        break;
      }
    }
  }

  /** The records that define what counts at `nowMs`, without what has expired. To be appended as one batch. */
  compacted(nowMs: number): TokenChange[] {
    const changes: TokenChange[] = [{ kind: "clear" }];
    for (const key of this.keys.values())
      if (key.retiresMs === undefined || key.retiresMs > nowMs) changes.push({ kind: "key", key });
    for (const key of this.sessionKeys.values())
      if (key === this.newestSessionKey || key.addedMs + sessionKeyLifeMs + sessionLifeMsMax > nowMs)
        changes.push({ kind: "session-key", key });
    for (const [id, untilMs] of this.revokedIds)
      if (untilMs > nowMs) changes.push({ kind: "revoke", id, untilMs });
    for (const [subject, issuedUntilMs] of this.revokedSubjects)
      if (issuedUntilMs + tokenLifeMsMax + revocationSpareMs > nowMs)
        changes.push({ kind: "revoke-subject", subject, issuedUntilMs });
    return changes;
  }
}

export function encodeChange(change: TokenChange): Uint8Array {
  return Buffer.from(JSON.stringify(plainOf(change)));
}

function plainOf(change: TokenChange): unknown {
  switch (change.kind) {
    case "clear":
      return ["clear"];
    case "key": {
      const { id, x, addedMs, retiresMs = null, addedBy } = change.key;
      return ["key", id, x, addedMs, retiresMs, addedBy];
    }
    case "remove-key":
      return ["remove-key", change.id];
    case "session-key":
      return ["session-key", change.key.id, change.key.key, change.key.addedMs];
    case "revoke":
      return ["revoke", change.id, change.untilMs];
    case "revoke-subject":
      return ["revoke-subject", change.subject, change.issuedUntilMs];
  }
}

/** @throws Fault "corrupt" */
export function decodeChange(bytes: Uint8Array): TokenChange {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch (cause) {
    throw malformed(cause);
  }
  const [kind, first, second, addedMs, retiresMs, addedBy] = Array.isArray(value) ? (value as unknown[]) : [];
  if (kind === "clear") return { kind };
  if (typeof first !== "string") throw malformed();
  if (kind === "revoke-subject" && isTime(second)) return { kind, subject: first, issuedUntilMs: second };
  if (!isId(first)) throw malformed();
  if (kind === "remove-key") return { kind, id: first };
  if (kind === "revoke" && isTime(second)) return { kind, id: first, untilMs: second };
  if (kind === "session-key" && isSealKey(second) && isTime(addedMs))
    return { kind, key: { id: first, key: second, addedMs } };
  if (kind !== "key" || typeof second !== "string" || typeof addedBy !== "string") throw malformed();
  if (!isTime(addedMs) || !(retiresMs === null || isTime(retiresMs))) throw malformed();
  return { kind, key: { id: first, x: second, addedMs, retiresMs: retiresMs ?? undefined, addedBy } };
}

/** Returns whether this can be the id of a token or a key. */
export const isId = (value: unknown): value is string =>
  typeof value === "string" && value.length <= idCharsMax && /^[A-Za-z0-9._~-]+$/.test(value);

/** Returns whether this can be a key that seals cookies. */
export const isSealKey = (value: unknown): value is string =>
  typeof value === "string" && /^[\w-]{43}$/.test(value);

const isTime = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const malformed = (cause?: unknown): Fault =>
  new Fault("corrupt", { message: "a record about tokens is malformed", facts: { part: "tokens" }, cause });

/**
 * A ticket on its way from the node that made it to the node at which it is used: the caller that made it, with what is known of its
 * token and its session, and the logs. The second node checks all of it again: both know the revocations and the keys of the cluster, and
 * each loads the keys of an OpenID provider by itself.
 */
import { isSubjectName, namedIdentity, Scopes, type TicketLogs, type TokenRights } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import type { IssuerTokens } from "../issuer/issuer-tokens.ts";
import { SessionToken } from "../sessions/session-token.ts";
import { type TokenSource, type VerifiedClaims, VerifiedToken } from "../verified-token.ts";
import type { Ticket } from "./ticket-book.ts";

/** What a node checks the token of a ticket with. */
export interface TicketChecks {
  readonly source: TokenSource;
  /** The OpenID issuer whose tokens are accepted, besides those of the cluster. Default: none. */
  readonly issuer: Pick<IssuerTokens, "issuer" | "keyState"> | undefined;
  readonly wallMs: () => number;
}

export function encodeTicket({ holder: { subject, token, issuer }, logs }: Ticket): object {
  if (token === undefined) return { subject, logs };
  const session =
    token instanceof SessionToken ? { id: token.sessionId, expiresMs: token.expiresMs } : undefined;
  const verified = token instanceof SessionToken ? token.token : token;
  if (!(verified instanceof VerifiedToken)) throw new Error("a ticket has no verified token");
  const { scopes, issuerKey, ...claims } = verified.claims;
  return {
    ...{ subject, logs },
    token: {
      ...claims,
      ...(scopes === undefined ? {} : { scope: scopes.text }),
      ...(issuerKey === undefined ? {} : { issuer, keyDigest: issuerKey.digest }),
    },
    ...(session === undefined ? {} : { session }),
  };
}

/** @throws Fault "unavailable" for an answer that is malformed, or while the keys of the issuer cannot be loaded; "unauthenticated" */
export async function decodeTicket(answer: unknown, checks: TicketChecks): Promise<Ticket> {
  const { source, wallMs } = checks;
  const { subject, logs, token, session } = fieldsOf(answer);
  if (typeof subject !== "string") throw malformed();
  const holder = namedIdentity(subject);
  if (token === undefined) return { holder, logs: logsFrom(logs) };
  const claims = await claimsFrom(token, checks);
  if (claims.subject !== subject) throw malformed();
  let rights: TokenRights = new VerifiedToken(claims, source, wallMs);
  if (session !== undefined) {
    const { id, expiresMs } = fieldsOf(session);
    if (typeof id !== "string" || typeof expiresMs !== "number") throw malformed();
    rights = new SessionToken({ token: rights, id, expiresMs, source, wallMs });
  }
  return { holder: { ...holder, token: rights }, logs: logsFrom(logs) };
}

function logsFrom(logs: unknown): TicketLogs {
  const { objects, prefix } = fieldsOf(logs);
  if (typeof prefix === "string") return { prefix };
  if (Array.isArray(objects) && objects.every((object) => typeof object === "string")) return { objects };
  throw malformed();
}

async function claimsFrom(token: unknown, { issuer: known }: TicketChecks): Promise<VerifiedClaims> {
  const { subject, id, issuedMs, expiresMs, keyId, scope, issuer, keyDigest } = fieldsOf(token);
  if (
    !isSubjectName(subject) ||
    typeof id !== "string" ||
    typeof keyId !== "string" ||
    typeof issuedMs !== "number" ||
    typeof expiresMs !== "number" ||
    (scope !== undefined && typeof scope !== "string")
  )
    throw malformed();
  const claims = {
    ...{ subject, id, issuedMs, expiresMs, keyId },
    scopes: scope === undefined ? undefined : Scopes.parse(scope),
  };
  if (keyDigest === undefined) return claims;
  if (known === undefined || issuer !== known.issuer || typeof keyDigest !== "string") throw malformed();
  return { ...claims, issuerKey: await known.keyState(keyId, keyDigest) };
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

const malformed = (): Fault =>
  new Fault("unavailable", { message: "the node that made the ticket sent a malformed answer" });

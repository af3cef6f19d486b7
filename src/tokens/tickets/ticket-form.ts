/**
 * A ticket on its way from the node that made it to the node at which it is used: the caller that made it, with what is known of its
 * token, and the logs. Both nodes know keys and revocations, so the second one checks the token again.
 */
import { isSubjectName, namedIdentity, Scopes, type TicketLogs } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import { type TokenSource, type VerifiedClaims, VerifiedToken } from "../verified-token.ts";
import type { Ticket } from "./ticket-book.ts";

/** @throws Fault "failed-precondition" if only this node can check the token */
export function encodeTicket({ holder: { subject, token }, logs }: Ticket): object {
  if (token === undefined) return { subject, logs };
  if (!(token instanceof VerifiedToken) || token.claims.issuerKey !== undefined)
    throw new Fault("failed-precondition", {
      message: "this ticket opens tails only at the node that made it",
    });
  const { scopes, issuerKey: _, ...claims } = token.claims;
  return { subject, logs, token: { ...claims, ...(scopes === undefined ? {} : { scope: scopes.text }) } };
}

/** @throws Fault "unavailable" for an answer that is malformed */
export function decodeTicket(answer: unknown, source: TokenSource, wallMs: () => number): Ticket {
  const { subject, logs, token } = fieldsOf(answer);
  if (typeof subject !== "string") throw malformed();
  const holder = namedIdentity(subject);
  if (token === undefined) return { holder, logs: logsFrom(logs) };
  const claims = claimsFrom(token);
  if (claims.subject !== subject) throw malformed();
  return {
    holder: { ...holder, token: new VerifiedToken(claims, source, wallMs) },
    logs: logsFrom(logs),
  };
}

function logsFrom(logs: unknown): TicketLogs {
  const { objects, prefix } = fieldsOf(logs);
  if (typeof prefix === "string") return { prefix };
  if (Array.isArray(objects) && objects.every((object) => typeof object === "string")) return { objects };
  throw malformed();
}

function claimsFrom(token: unknown): VerifiedClaims {
  const { subject, id, issuedMs, expiresMs, keyId, scope } = fieldsOf(token);
  if (
    !isSubjectName(subject) ||
    typeof id !== "string" ||
    typeof keyId !== "string" ||
    typeof issuedMs !== "number" ||
    typeof expiresMs !== "number" ||
    (scope !== undefined && typeof scope !== "string")
  )
    throw malformed();
  return {
    ...{ subject, id, issuedMs, expiresMs, keyId },
    scopes: scope === undefined ? undefined : Scopes.parse(scope),
  };
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

const malformed = (): Fault =>
  new Fault("unavailable", { message: "the node that made the ticket sent a malformed answer" });

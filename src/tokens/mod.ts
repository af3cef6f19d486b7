/** Tokens: what the cluster knows of them, and what they are worth. See README.md. */
export { FailedAttempts } from "./failed-attempts.ts";
export { IssuerKeys } from "./issuer/issuer-keys.ts";
export { IssuerTokens } from "./issuer/issuer-tokens.ts";
export { sessionIdPrefix } from "./sessions/session-token.ts";
export { Sessions } from "./sessions/sessions.ts";
export { Shares } from "./shares.ts";
export { parseTicket, type Ticket, TicketBook, ticketIdentity, unusable } from "./tickets/ticket-book.ts";
export { decodeTicket, encodeTicket, type TicketChecks } from "./tickets/ticket-form.ts";
export { ticketLifeMs, ticketLogsMax } from "./tickets/ticket-limits.ts";
export { changesFor, isSessionRequest, keyIdOf, requestFrom, type TokenRequest } from "./token-requests.ts";
export { decodeChange, encodeChange, type TokenChange, TokenState } from "./token-state.ts";
export { TokenVerifier } from "./token-verifier.ts";
export type { TokenSource } from "./verified-token.ts";

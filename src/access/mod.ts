/** Access control: which subject may do which action. The agent provides policies and identities. See DESIGN.md. */
export { AccessControl, type AccessOptions, type Decision, type Principal } from "./access-control.ts";
export {
  type Action,
  actions,
  anonymousIdentity,
  anonymousSubject,
  type Identity,
  isAction,
  isSubjectName,
  localIdentity,
  logObject,
  mayBeNode,
  namedIdentity,
  nodeNamesOf,
  type TokenRights,
} from "./identity.ts";
export type { PolicySource } from "./rules.ts";
export { Scopes } from "./scopes/scopes.ts";
export { type TicketLogs, TicketScopes } from "./scopes/ticket-scopes.ts";

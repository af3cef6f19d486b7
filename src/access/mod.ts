/**
 * The access room: who may do what. See DESIGN.md.
 *
 * Never: reads a file or a socket; the agent brings policies and identities.
 */
export { AccessControl, type AccessOptions, type Decision, type Principal } from "./access-control.ts";
export {
  type Action,
  actions,
  anonymousIdentity,
  anonymousSubject,
  type Identity,
  isAction,
  localIdentity,
  localSubject,
  logObject,
  mayBeNode,
  namedIdentity,
  nodeNamesOf,
} from "./identity.ts";
export type { PolicySource } from "./rules.ts";

/**
 * The access room: who may do what. See DESIGN.md.
 *
 * Never: reads a file or a socket; the agent brings policies and identities.
 */
export { AccessControl, type AccessOptions, type Caller, type Decision } from "./access-control.ts";
export {
  type Action,
  actions,
  anonymousIdentity,
  anonymousSubject,
  type Identity,
  isAction,
  localIdentity,
  localSubject,
  mayBeNode,
  namedIdentity,
  nodeNamesOf,
  theLog,
} from "./identity.ts";
export type { PolicySource } from "./rules.ts";

/**
 * Identities of callers, and the actions that they may be allowed to do.
 *
 * The subject `local` is plaintext from this machine, and `anonymous` is a caller without a certificate. Every other
 * subject is the common name of a certificate. No certificate may have the two reserved names, so a subject alone
 * suffices for a decision, also after it was forwarded to the leader.
 */

/** Actions of a policy. `describe` includes Watch and reflection. */
export const actions = [
  "produce",
  "consume",
  "describe",
  "trim",
  "admin",
  "peer",
  "create",
  "delete",
  "configure",
  "cursor",
] as const;
export type Action = (typeof actions)[number];

export const isAction = (text: string): text is Action => (actions as readonly string[]).includes(text);

/** Plaintext from this machine. */
export const localSubject = "local";
/** No certificate. */
export const anonymousSubject = "anonymous";
/** Every log. It is also the object of a request about the log `default` and about the cluster. */
export const logObject = "*";

/** The identity of a connection's caller. */
export interface Identity {
  readonly subject: string;
  /** The certificate is of the peers' CA and names a node (`urn:tailrace:node:…`). */
  readonly isPeer: boolean;
  /** The subject alternative names, as `DNS:…`, `IP Address:…`, `URI:…`. */
  readonly sans: readonly string[];
  /** Common name of the issuer, empty without a certificate. */
  readonly issuer: string;
  /** SHA-256 of the certificate in hexadecimal, empty without one. */
  readonly fingerprint: string;
}

const noCertificate = { isPeer: false, sans: [], issuer: "", fingerprint: "" } as const;
export const localIdentity: Identity = { subject: localSubject, ...noCertificate };
export const anonymousIdentity: Identity = { subject: anonymousSubject, ...noCertificate };

/** Returns an identity for a subject alone, from a forwarded call or a command line. */
export const namedIdentity = (subject: string, isPeer = false): Identity => ({
  subject,
  ...noCertificate,
  isPeer,
});

const nodeUri = "URI:urn:tailrace:node:";

/** Returns the node names in a certificate's alternative names. `*` is any node. */
export const nodeNamesOf = (sans: readonly string[]): string[] =>
  sans.filter((san) => san.startsWith(nodeUri)).map((san) => san.slice(nodeUri.length));

/**
 * Returns whether the holder of a certificate may be the node of this name. A certificate that names no node may be any;
 * the policy decides whether it may be a peer.
 */
export function mayBeNode(identity: Pick<Identity, "sans">, nodeName: string): boolean {
  const names = nodeNamesOf(identity.sans);
  return names.length === 0 || names.includes("*") || names.includes(nodeName);
}

/**
 * Who calls, and what there is to be allowed.
 *
 * A subject is a name that stands for one way of coming in: `local` is plaintext from this machine, `anonymous` is
 * somebody without a certificate, every other name is the common name of a certificate. The two are reserved:
 * no certificate may carry them, so a subject alone decides, also after it travelled to the leader.
 *
 * Never: decides.
 */

/** What a caller may be allowed to do. `describe` covers Watch and reflection too. */
export const actions = ["produce", "consume", "describe", "trim", "admin", "peer"] as const;
export type Action = (typeof actions)[number];

export const isAction = (word: string): word is Action => (actions as readonly string[]).includes(word);

/** Plaintext from this machine itself. */
export const localSubject = "local";
/** No certificate. */
export const anonymousSubject = "anonymous";
/** The only object there is until there are several logs. */
export const logObject = "*";

/** The caller of one connection. */
export interface Identity {
  readonly subject: string;
  /** A certificate of the peers' CA that names a node (`urn:tailrace:node:…`). */
  readonly isPeer: boolean;
  /** The subject alternative names, as `DNS:…`, `IP Address:…`, `URI:…`. */
  readonly sans: readonly string[];
  /** Common name of the issuer, empty without a certificate. */
  readonly issuer: string;
  /** SHA-256 of the certificate in hexadecimal, empty without one. */
  readonly fingerprint: string;
}

const bare = { isPeer: false, sans: [], issuer: "", fingerprint: "" } as const;
export const localIdentity: Identity = { subject: localSubject, ...bare };
export const anonymousIdentity: Identity = { subject: anonymousSubject, ...bare };

/** An identity for a name alone, as it stands in a forwarded call or on a command line. */
export const namedIdentity = (subject: string, isPeer = false): Identity => ({ subject, ...bare, isPeer });

const nodeUri = "URI:urn:tailrace:node:";

/** The nodes that a certificate with these alternative names may be: `*` is any. */
export const nodeNamesOf = (sans: readonly string[]): string[] =>
  sans.filter((san) => san.startsWith(nodeUri)).map((san) => san.slice(nodeUri.length));

/** May the holder be the node of this name? A certificate that names no node may, once policy lets it peer. */
export function mayBeNode(identity: Pick<Identity, "sans">, nodeName: string): boolean {
  const names = nodeNamesOf(identity.sans);
  return names.length === 0 || names.includes("*") || names.includes(nodeName);
}

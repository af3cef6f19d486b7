/**
 * Identities of callers, and the actions that they may be allowed to do.
 *
 * The subject `local` is plaintext from this machine, and `anonymous` is a caller without a certificate. Every other
 * subject is the common name of a certificate, or that of a token. None of them may have the two reserved names, so a subject
 * alone suffices for a decision, also after it was forwarded to the leader. The node that received the request has checked the
 * scopes of a token before.
 */
import type { Fault } from "../fault.ts";

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

/** The longest name of a subject. */
export const subjectCharsMax = 256;
/**
 * Control characters, format characters (zero width, text direction), surrogates, private use, line and paragraph
 * separators, and what Unicode displays as nothing (fillers, variation selectors).
 */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;

/**
 * Returns whether a certificate or a token can have this subject: visible characters only, so that a log line and a policy show it
 * as it is; and not a name that stands for a client without a certificate.
 */
export function isSubjectName(subject: unknown): subject is string {
  if (typeof subject !== "string" || subject === "" || subject.length > subjectCharsMax) return false;
  if (subject === localSubject || subject === anonymousSubject) return false;
  return !invisible.test(subject) && subject.trim() === subject;
}

/** What a token may use of the rights of its subject: see Scopes. */
export interface TokenScopes {
  allows(object: string, action: Action): boolean;
  allowsSome(action: Action): boolean;
  narrow(patterns: readonly string[], action: Action): readonly string[] | undefined;
}

/** What a token adds to its subject. It narrows the rights of the subject, and ends. */
export interface TokenRights {
  /** What the holder presented. Default a token. */
  readonly form?: "ticket" | "session";
  /** The claim `jti`; empty if the token has none, and for the ticket of a certificate. */
  readonly id: string;
  /** When it expires, in ms since 1970. Infinity for the ticket of a certificate. */
  readonly expiresMs: number;
  /** What it may use of the rights of its subject. Undefined: all. */
  readonly scopes: TokenScopes | undefined;
  /** How long until it expires, in ms. Not positive once it has. */
  readonly leftMs: () => number;
  /** Returns why the token is not valid any more, a Fault "unauthenticated"; undefined while it is valid. */
  readonly invalid: () => Fault | undefined;
}

/** The identity of a caller: that of its connection, or of the token of its request. */
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
  /** Of a caller that stated a token. */
  readonly token?: TokenRights;
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

/**
 * Decides which certificates to make, given which files are there.
 *
 * The law: a file that exists is replaced only by force. Where some are missing they are made with the CA that is
 * there and the others are kept; where that cannot be, it is refused, with the files in the way named.
 *
 * Never: touches a file.
 */
import { Fault } from "../../fault.ts";

export interface Wish {
  /** Pairs of certificate and key besides the CA's, by name: `server`, `root-client`, … */
  readonly leaves: readonly string[];
  /** The whole set with CA and browser.p12, or a client more by the CA that is there. */
  readonly wholeSet: boolean;
  readonly force: boolean;
  /** Hosts for the server's certificate were asked for. */
  readonly hostsGiven: boolean;
}

export interface Plan {
  readonly makeAuthority: boolean;
  readonly makeLeaves: readonly string[];
  readonly makeBundle: boolean;
}

export const bundleName = "browser.p12";

/** What to make. Throws Fault "config" when that would replace something, or there is nothing to sign with. */
export function planCertificates(wish: Wish, exists: (name: string) => boolean): Plan {
  const { leaves, wholeSet, force } = wish;
  const complete = (name: string): boolean => exists(`${name}.pem`) && exists(`${name}-key.pem`);
  const half = (name: string): boolean => exists(`${name}.pem`) !== exists(`${name}-key.pem`);
  if (!wholeSet && !complete("ca")) {
    throw new Fault("config", { message: "there is no ca.pem with ca-key.pem to sign with" });
  }
  const makeAuthority = wholeSet && (force || !complete("ca"));
  const makeLeaves = leaves.filter((name) => force || !complete(name));
  const makeBundle = wholeSet && (force || !exists(bundleName) || makeLeaves.includes("root-client"));
  if (force) return { makeAuthority, makeLeaves, makeBundle };

  const halves = ["ca", ...leaves].filter(half);
  if (halves.length > 0) throw inTheWay("half of a pair is there", halves);
  const kept = leaves.filter(complete);
  if (makeAuthority && (kept.length > 0 || exists(bundleName))) {
    throw inTheWay("certificates are there but not the CA that signed them", kept);
  }
  if (wish.hostsGiven && kept.includes("server")) {
    throw inTheWay("other hosts need a new certificate", ["server"]);
  }
  if (makeLeaves.includes("root-client") && exists(bundleName)) {
    throw inTheWay(`${bundleName} holds a root-client that is gone`, [bundleName]);
  }
  if (makeLeaves.length === 0 && !makeBundle) throw inTheWay("certificates are there", leaves);
  return { makeAuthority, makeLeaves, makeBundle };
}

const inTheWay = (why: string, names: readonly string[]): Fault => {
  const files = names.map((name) => (name.includes(".") ? name : `${name}.pem`)).join(" ");
  return new Fault("config", {
    message: `${why} (${files}), use --force to replace or --issue CN to add a client`,
  });
};

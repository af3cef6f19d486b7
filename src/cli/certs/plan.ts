/**
 * Decides which certificates to create, given the files that exist. An existing file is replaced only with `force`.
 * Missing ones are created with the existing CA. If that is not possible, the plan is rejected with the names of the
 * conflicting files.
 */
import { Fault } from "../../fault.ts";

export interface CertificateRequests {
  /** Pairs of certificate and key except the CA, by name: `server`, `root-client`, … */
  readonly leaves: readonly string[];
  /** The whole set with CA and browser.p12. If false, client certificates of the existing CA. */
  readonly wholeSet: boolean;
  readonly force: boolean;
  /** Whether hosts for server.pem are given. */
  readonly hostsGiven: boolean;
}

export interface Plan {
  readonly makeAuthority: boolean;
  readonly makeLeaves: readonly string[];
  readonly makeBundle: boolean;
}

export const bundleName = "browser.p12";

/**
 * Returns what to create.
 * @throws Fault "config" if that would replace a file, or if there is no CA to sign with
 */
export function planCertificates(requests: CertificateRequests, exists: (name: string) => boolean): Plan {
  const { leaves, wholeSet, force } = requests;
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
  if (halves.length > 0) throw conflict("half of a pair is there", halves);
  const kept = leaves.filter(complete);
  if (makeAuthority && (kept.length > 0 || exists(bundleName))) {
    throw conflict("certificates are there but not the CA that signed them", kept);
  }
  if (requests.hostsGiven && kept.includes("server")) {
    throw conflict("other hosts need a new certificate", ["server"]);
  }
  if (makeLeaves.includes("root-client") && exists(bundleName)) {
    throw conflict(`${bundleName} holds a root-client that is gone`, [bundleName]);
  }
  if (makeLeaves.length === 0 && !makeBundle) throw conflict("certificates are there", leaves);
  return { makeAuthority, makeLeaves, makeBundle };
}

const conflict = (why: string, names: readonly string[]): Fault => {
  const files = names.map((name) => (name.includes(".") ? name : `${name}.pem`)).join(" ");
  return new Fault("config", {
    message: `${why} (${files}), use --force to replace or --issue CN to add a client`,
  });
};

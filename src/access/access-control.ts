/**
 * May this subject do this? The built-in answers, else the policy's, remembered until either changes.
 *
 *   caller                        without a policy               with one
 *   local (plaintext, loopback)   everything                     everything
 *   a certificate                 all but peer and admin         the policy
 *   a node's certificate          … and peer                     … and peer, unless the policy speaks of peer
 *   anonymous                     nothing (plaintext trusted     the policy
 *                                 off loopback: all but admin)
 *
 * A change of the rules raises `generation` and calls the listeners, so that long streams ask again.
 *
 * Never: reads files, loads Casbin without a policy, answers yes when it does not know.
 */
import { Fault } from "../fault.ts";
import { DecisionCache } from "./decision-cache.ts";
import {
  type Action,
  actions,
  anonymousSubject,
  type Identity,
  localSubject,
  logObject,
} from "./identity.ts";
import { compileRules, type PolicySource, type Rules } from "./rules.ts";

/** What is needed of an identity to decide. */
export type Principal = Pick<Identity, "subject" | "isPeer">;

export interface Decision {
  readonly allowed: boolean;
  /** One line for people: the rule of the policy, or the built-in one. */
  readonly because: string;
}

export interface AccessOptions {
  /**
   * The node has no certificates and was told to serve plaintext off loopback: everybody out there is `anonymous`,
   * and without a policy may do all but admin. Default false.
   */
  readonly trustPlaintext?: boolean;
  /** Default 16,384 pairs of subject and object. */
  readonly cachedPairsMax?: number;
}

interface BuiltIn {
  readonly allowed: boolean;
  readonly because: string;
}

export class AccessControl {
  readonly #trustPlaintext: boolean;
  readonly #cache: DecisionCache;
  readonly #listeners = new Set<() => void>();
  #rules: Rules | undefined;
  #source: PolicySource | undefined;
  #generation = 1;
  #turn: Promise<unknown> = Promise.resolve();

  /** Built-in rules only, until use() brings a policy. */
  constructor(options: AccessOptions = {}) {
    this.#trustPlaintext = options.trustPlaintext ?? false;
    this.#cache = new DecisionCache(options.cachedPairsMax);
  }

  /** Opens one with a policy. Throws Fault "config" when model or policy are not valid. */
  static async open(source: PolicySource | undefined, options: AccessOptions = {}): Promise<AccessControl> {
    const access = new AccessControl(options);
    await access.setPolicy(source);
    return access;
  }

  /** Raised by every change of the rules. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Takes a new policy, or none. Answers false when it is the one in force. Throws Fault "config" when it is not
   * valid; then the one before stays in force.
   */
  setPolicy(source: PolicySource | undefined): Promise<boolean> {
    const turn = this.#turn.then(() => this.#use(source));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #use(source: PolicySource | undefined): Promise<boolean> {
    const same =
      source === undefined
        ? this.#source === undefined
        : source.policy === this.#source?.policy && source.model === this.#source.model;
    if (same) return false;
    this.#rules = source === undefined ? undefined : await compileRules(source);
    this.#source = source;
    this.#cache.clear();
    this.#generation++;
    for (const listener of [...this.#listeners]) listener();
    return true;
  }

  /** Calls back after every change of the rules; the answer ends it. One a running stream, not one a call. */
  onReload(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** True when the caller may do it. About 50 ns once asked before. */
  check(caller: Principal, object: string, action: Action): boolean {
    const built = this.#builtIn(caller, action);
    if (built !== undefined) return built.allowed;
    const known = this.#cache.get(caller.subject, object, action);
    if (known !== undefined) return known;
    const allowed = this.#rules?.allows(caller.subject, object, action) ?? false;
    this.#cache.set(caller.subject, object, action, allowed);
    return allowed;
  }

  /** Throws Fault "unauthenticated" or "permission-denied" unless the caller may do it. */
  authorize(caller: Principal, object: string, action: Action): void {
    if (this.check(caller, object, action)) return;
    if (!this.isAuthenticated(caller)) throw new Fault("unauthenticated");
    const reason = this.#rules?.roleLine(caller.subject) === undefined ? "" : ", it is the name of a role";
    throw new Fault("permission-denied", {
      message: `"${caller.subject}" may not ${phrases[action]} "${object}"${reason}`,
      facts: { subject: caller.subject, object, action },
    });
  }

  /** Is it somebody? What any authenticated caller may do needs no more. */
  isAuthenticated(caller: Principal): boolean {
    return caller.subject !== anonymousSubject || this.#trustPlaintext;
  }

  /** The decision and the rule behind it. Not for the hot path. */
  explain(caller: Principal, object: string, action: Action): Decision {
    const built = this.#builtIn(caller, action);
    if (built !== undefined) return built;
    const rule = this.#rules?.ruleFor(caller.subject, object, action);
    if (rule !== undefined) return { allowed: true, because: rule };
    const roleLine = this.#rules?.roleLine(caller.subject);
    if (roleLine !== undefined) {
      return {
        allowed: false,
        because: `"${caller.subject}" is the name of a role and no caller (${roleLine})`,
      };
    }
    const name = this.#source?.policyName ?? "policy";
    const besides =
      action === "peer" && !this.#rules?.mentionsPeer ? ", and the certificate names no node" : "";
    return { allowed: false, because: `no rule of ${name} allows it${besides}` };
  }

  /** What the caller may do to `object`. */
  allowedActions(caller: Principal, object = logObject): Action[] {
    return actions.filter((action) => this.check(caller, object, action));
  }

  /** The answer that needs no policy, if there is one. Answers constants: it is on the hot path. */
  #builtIn(caller: Principal, action: Action): BuiltIn | undefined {
    if (caller.subject === localSubject) return builtIn.local;
    if (action === "peer" && caller.isPeer && this.#rules?.mentionsPeer !== true) return builtIn.node;
    if (this.#rules !== undefined) return undefined;
    if (caller.subject === anonymousSubject) {
      if (!this.#trustPlaintext) return builtIn.anonymous;
      return action === "admin" ? builtIn.plaintextAdmin : builtIn.plaintext;
    }
    if (action === "peer") return builtIn.notNode;
    return action === "admin" ? builtIn.admin : builtIn.certificate;
  }
}

const builtIn = {
  local: { allowed: true, because: "built in: plaintext from this machine may do everything" },
  node: { allowed: true, because: "built in: the certificate names a node" },
  notNode: { allowed: false, because: "built in: without a policy only a node's certificate may peer" },
  admin: { allowed: false, because: "built in: without a policy no certificate may admin" },
  certificate: {
    allowed: true,
    because: "built in: without a policy every certificate may do all but peer and admin",
  },
  anonymous: { allowed: false, because: "built in: without a certificate only a policy can allow anything" },
  plaintext: { allowed: true, because: "built in: plaintext is allowed here and there is no policy" },
  plaintextAdmin: { allowed: false, because: "built in: plaintext from another machine may not admin" },
} as const satisfies Record<string, BuiltIn>;

const phrases: Readonly<Record<Action, string>> = {
  produce: "produce to",
  consume: "consume from",
  describe: "describe",
  trim: "trim",
  admin: "administer",
  peer: "be a peer of",
};

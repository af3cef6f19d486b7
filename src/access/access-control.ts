/**
 * Decides whether a subject may do an action: by the built-in rules, or else by the policy. Decisions are cached until
 * the policy changes.
 *
 *   caller                        without a policy               with a policy
 *   local (plaintext, loopback)   everything                     everything
 *   a certificate                 all but peer, admin,           the policy
 *                                 delete and configure
 *   a node's certificate          the same, and peer             the policy, and peer unless the policy mentions peer
 *   anonymous                     nothing (as a node's           the policy
 *                                 if plaintext is trusted)
 *   a token                       as a certificate with its subject, but never peer; and only what its scopes allow
 *   a ticket                      as the caller that made it, but only tails of the logs that it is for
 *
 * Names that begin with "_" are logs of the cluster itself: no caller has a right to them.
 *
 * A change of the policy raises `generation` and calls the listeners, so that running streams are checked again.
 */
import { Fault } from "../fault.ts";
import { isReservedName } from "../lib/names/log-name.ts";
import { DecisionCache } from "./decision-cache.ts";
import {
  type Action,
  actions,
  anonymousSubject,
  type Identity,
  localSubject,
  logObject,
  type TokenRights,
} from "./identity.ts";
import { compileRules, type PolicySource, type Rules } from "./rules.ts";

/** The part of an identity that a decision needs. */
export type Principal = Pick<Identity, "subject" | "isPeer" | "token">;

export interface Decision {
  readonly allowed: boolean;
  /** One line that names the rule of the policy, or the built-in rule. */
  readonly because: string;
}

export interface AccessOptions {
  /**
   * The node serves plaintext off loopback (--allow-plaintext). Callers from other machines are `anonymous`, and without
   * a policy they may do all but admin, delete and configure. Default false.
   */
  readonly trustPlaintext?: boolean;
  /** A caller needs a certificate or a token: `anonymous` has no rights, whatever the policy says. Default false. */
  readonly refuseAnonymous?: boolean;
  /** Default 16,384 pairs of subject and object. */
  readonly cachedPairsMax?: number;
}

interface BuiltIn {
  readonly allowed: boolean;
  readonly because: string;
}

export class AccessControl {
  readonly #trustPlaintext: boolean;
  readonly #refuseAnonymous: boolean;
  readonly #cache: DecisionCache;
  readonly #listeners = new Set<() => void>();
  #rules: Rules | undefined;
  #source: PolicySource | undefined;
  #generation = 1;
  /** Resolves when the last setPolicy() has ended: one policy is compiled at a time. */
  #lastChange: Promise<unknown> = Promise.resolve();

  /** Starts with the built-in rules only. */
  constructor(options: AccessOptions = {}) {
    this.#trustPlaintext = options.trustPlaintext ?? false;
    this.#refuseAnonymous = options.refuseAnonymous ?? false;
    this.#cache = new DecisionCache(options.cachedPairsMax);
  }

  /**
   * Starts with a policy.
   * @throws Fault "config" if the model or the policy is invalid
   */
  static async open(source: PolicySource | undefined, options: AccessOptions = {}): Promise<AccessControl> {
    const access = new AccessControl(options);
    await access.setPolicy(source);
    return access;
  }

  /** Number that grows with every change of the policy. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Replaces the policy; undefined removes it. Resolves to false if the new policy equals the current one.
   * @throws Fault "config" if it is invalid; then the current one stays in force
   */
  setPolicy(source: PolicySource | undefined): Promise<boolean> {
    const change = this.#lastChange.then(() => this.#replace(source));
    this.#lastChange = change.catch(() => undefined);
    return change;
  }

  async #replace(source: PolicySource | undefined): Promise<boolean> {
    const same =
      source === undefined
        ? this.#source === undefined
        : source.policy === this.#source?.policy && source.model === this.#source.model;
    if (same) return false;
    this.#rules = source === undefined ? undefined : await compileRules(source);
    this.#source = source;
    this.#cache.clear();
    this.recheck();
    return true;
  }

  /** Raises the generation, so that running calls are checked again: the rules changed, or tokens are not valid any more. */
  recheck(): void {
    this.#generation++;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Calls `listener` after every change of the policy, and after recheck(). Returns a function that ends that. */
  onReload(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Returns whether the caller may do the action. A cached decision takes about 50 ns. */
  check(caller: Principal, object: string, action: Action): boolean {
    if (isReservedName(object)) return false;
    const { token } = caller;
    if (token !== undefined && !isWithin(token, object, action)) return false;
    const byDefault = this.#builtIn(caller, action);
    if (byDefault !== undefined) return byDefault.allowed;
    const cached = this.#cache.get(caller.subject, object, action);
    if (cached !== undefined) return cached;
    const allowed = this.#rules?.allows(caller.subject, object, action) ?? false;
    this.#cache.set(caller.subject, object, action, allowed);
    return allowed;
  }

  /**
   * Returns false if there is no log on which the caller may do the action. Otherwise the log of a request decides, once it
   * is known.
   */
  mayOnSome(caller: Principal, action: Action): boolean {
    const { token } = caller;
    if (token !== undefined && (!isUsable(token, action) || token.scopes?.allowsSome(action) === false))
      return false;
    return this.#builtIn(caller, action)?.allowed ?? this.#rules?.mayOnSome(caller.subject, action) ?? false;
  }

  /**
   * Returns the logs on which the caller may do the action: names, and prefixes with a `*` at the end. Undefined: only
   * check() can say so, for one log.
   */
  patternsOf(caller: Principal, action: Action): readonly string[] | undefined {
    const { token } = caller;
    if (token !== undefined && !isUsable(token, action)) return [];
    const patterns = this.#patternsOf(caller, action);
    return patterns === undefined || token?.scopes === undefined
      ? patterns
      : token.scopes.narrow(patterns, action);
  }

  #patternsOf(caller: Principal, action: Action): readonly string[] | undefined {
    const byDefault = this.#builtIn(caller, action);
    if (byDefault !== undefined) return byDefault.allowed ? [logObject] : [];
    return this.#rules?.patternsOf(caller.subject, action);
  }

  /** @throws Fault "unauthenticated" or "permission-denied" unless the caller may do the action */
  authorize(caller: Principal, object: string, action: Action): void {
    if (!this.check(caller, object, action)) this.#deny(caller, object, action, `"${object}"`);
  }

  /**
   * As authorize(), before the log of a request is known.
   * @throws Fault "unauthenticated" or "permission-denied" if there is no log on which the caller may do the action
   */
  authorizeSome(caller: Principal, action: Action): void {
    if (!this.mayOnSome(caller, action)) this.#deny(caller, logObject, action, "any log");
  }

  #deny(caller: Principal, object: string, action: Action, which: string): never {
    this.authenticate(caller);
    const { token } = caller;
    const isNarrowed = token !== undefined && !isWithin(token, object, action);
    const reason =
      this.#rules?.roleLine(caller.subject) !== undefined
        ? ", it is the name of a role"
        : isNarrowed
          ? token.form === "ticket"
            ? " with this ticket, which is for tails of other logs"
            : " with this token, whose scopes do not allow it"
          : "";
    throw new Fault("permission-denied", {
      message: `"${caller.subject}" may not ${phrases[action]} ${which}${reason}`,
      facts: { subject: caller.subject, object, action },
    });
  }

  /** Returns whether the caller has an identity. Some calls require no more. */
  isAuthenticated(caller: Principal): boolean {
    return this.#unauthenticated(caller) === undefined;
  }

  /** @throws Fault "unauthenticated" unless the caller has an identity */
  authenticate(caller: Principal): void {
    const fault = this.#unauthenticated(caller);
    if (fault !== undefined) throw fault;
  }

  #unauthenticated({ subject, token }: Principal): Fault | undefined {
    if (token !== undefined) return token.invalid();
    if (subject !== anonymousSubject) return undefined;
    if (this.#trustPlaintext && !this.#refuseAnonymous) return undefined;
    return new Fault("unauthenticated", {
      message: "a client certificate is required, or a token in the header Authorization: Bearer TOKEN",
    });
  }

  /** Returns the decision and the rule behind it. It is not cached. */
  explain(caller: Principal, object: string, action: Action): Decision {
    const byDefault = this.#builtIn(caller, action);
    if (byDefault !== undefined) return byDefault;
    const rule = this.#rules?.ruleFor(caller.subject, object, action);
    if (rule !== undefined) return { allowed: true, because: rule };
    const roleLine = this.#rules?.roleLine(caller.subject);
    if (roleLine !== undefined) {
      return {
        allowed: false,
        because: `"${caller.subject}" is the name of a role, which has no rights as a caller (${roleLine})`,
      };
    }
    const name = this.#source?.policyName ?? "policy";
    const noNode =
      action === "peer" && !this.#rules?.mentionsPeer ? ", and the certificate names no node" : "";
    return { allowed: false, because: `no rule of ${name} allows it${noNode}` };
  }

  /** Returns the actions that the caller may do to `object`. */
  allowedActions(caller: Principal, object = logObject): Action[] {
    return actions.filter((action) => this.check(caller, object, action));
  }

  /** Returns the decision of the built-in rules, if they make one. It returns constants, to allocate nothing. */
  #builtIn(caller: Principal, action: Action): BuiltIn | undefined {
    if (caller.subject === localSubject) return builtIn.local;
    if (this.#refuseAnonymous && caller.subject === anonymousSubject) return builtIn.noCredential;
    if (action === "peer" && caller.isPeer && this.#rules?.mentionsPeer !== true) return builtIn.node;
    if (this.#rules !== undefined) return undefined;
    if (caller.subject === anonymousSubject) {
      if (!this.#trustPlaintext) return builtIn.anonymous;
      return isForOperators(action) ? builtIn.plaintextOperator : builtIn.plaintext;
    }
    if (action === "peer") return builtIn.notNode;
    return isForOperators(action) ? builtIn.operator : builtIn.certificate;
  }
}

/** Returns whether the token lets its holder do that, as far as its subject may. */
const isWithin = (token: TokenRights, object: string, action: Action): boolean =>
  isUsable(token, action) && (token.scopes === undefined || token.scopes.allows(object, action));

/** Returns whether the token is valid. No token makes a peer. */
const isUsable = (token: TokenRights, action: Action): boolean =>
  action !== "peer" && token.invalid() === undefined;

/** Actions that remote callers may do only if a policy says so. */
const isForOperators = (action: Action): boolean =>
  action === "admin" || action === "delete" || action === "configure";

const builtIn = {
  local: { allowed: true, because: "built in: plaintext from this machine may do everything" },
  node: { allowed: true, because: "built in: the certificate names a node" },
  notNode: { allowed: false, because: "built in: without a policy only a node's certificate may peer" },
  operator: {
    allowed: false,
    because: "built in: without a policy no certificate may admin, delete or configure",
  },
  certificate: {
    allowed: true,
    because: "built in: without a policy every certificate may do all but peer, admin, delete and configure",
  },
  anonymous: { allowed: false, because: "built in: without a certificate only a policy can allow anything" },
  noCredential: {
    allowed: false,
    because: "built in: --client-auth token requires a certificate or a token",
  },
  plaintext: { allowed: true, because: "built in: plaintext is allowed here and there is no policy" },
  plaintextOperator: {
    allowed: false,
    because: "built in: plaintext from another machine may not admin, delete or configure",
  },
} as const satisfies Record<string, BuiltIn>;

const phrases: Readonly<Record<Action, string>> = {
  produce: "produce to",
  consume: "consume from",
  describe: "describe",
  trim: "trim",
  admin: "administer",
  peer: "be a peer of",
  create: "create",
  delete: "delete",
  configure: "configure",
  cursor: "use cursors of",
};

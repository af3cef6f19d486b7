/** The scopes of a ticket: it reads the logs that it was made for, within the scopes of the token that made it. Pure. */
import { type Action, logObject, type TokenScopes } from "../identity.ts";
import { commonPatterns } from "./scopes.ts";

/** The logs of a ticket: objects (`*` is the log `default` alone), or all named logs whose names begin with a prefix. */
export type TicketLogs = { readonly objects: readonly string[] } | { readonly prefix: string };

/** What a tail needs: `cursor` for one that begins at a cursor. */
const readActions: ReadonlySet<Action> = new Set<Action>(["consume", "cursor"]);

export class TicketScopes implements TokenScopes {
  readonly #logs: TicketLogs;
  readonly #within: TokenScopes | undefined;

  /** `within`: the scopes of the token. Undefined: all that the policy allows the subject. */
  constructor(logs: TicketLogs, within: TokenScopes | undefined) {
    this.#logs = logs;
    this.#within = within;
  }

  allows(object: string, action: Action): boolean {
    return readActions.has(action) && this.#covers(object) && this.#within?.allows(object, action) !== false;
  }

  allowsSome(action: Action): boolean {
    return readActions.has(action) && this.#within?.allowsSome(action) !== false;
  }

  narrow(patterns: readonly string[], action: Action): readonly string[] | undefined {
    if (!readActions.has(action)) return [];
    const left = this.#within === undefined ? patterns : this.#within.narrow(patterns, action);
    if (left === undefined || !("prefix" in this.#logs)) return undefined;
    return commonPatterns(left, `${this.#logs.prefix}*`);
  }

  #covers(object: string): boolean {
    if ("objects" in this.#logs) return this.#logs.objects.includes(object);
    return object !== logObject && object.startsWith(this.#logs.prefix);
  }
}

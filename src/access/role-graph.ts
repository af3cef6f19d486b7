/**
 * Who is in which role: the `g` lines of a policy, as Casbin asks for them.
 *
 * Casbin's own walks every path and stops at depth 10: eight roles that are each other's took 13 s a decision, and
 * the eleventh level counted for nothing. This visits each role once, so cycles and depth cost nothing.
 *
 * Never: matches patterns; a role is a name.
 */
import type { RoleManager } from "casbin";

export class RoleGraph implements RoleManager {
  /** Domain, then name → the roles directly above it. */
  readonly #domains = new Map<string, Map<string, Set<string>>>();

  syncedHasLink(name: string, role: string, domain = ""): boolean {
    if (name === role) return true;
    const above = this.#domains.get(domain);
    const seen = new Set([name]);
    for (const reached of seen) {
      for (const next of above?.get(reached) ?? []) {
        if (next === role) return true;
        seen.add(next); // A set is walked on to what is added meanwhile.
      }
    }
    return false;
  }

  async hasLink(name: string, role: string, domain?: string): Promise<boolean> {
    return this.syncedHasLink(name, role, domain);
  }

  async addLink(name: string, role: string, domain = ""): Promise<void> {
    const above = this.#domains.get(domain) ?? new Map<string, Set<string>>();
    this.#domains.set(domain, above.set(name, (above.get(name) ?? new Set()).add(role)));
  }

  async deleteLink(name: string, role: string, domain = ""): Promise<void> {
    this.#domains.get(domain)?.get(name)?.delete(role);
  }

  async clear(): Promise<void> {
    this.#domains.clear();
  }

  async getRoles(name: string, domain = ""): Promise<string[]> {
    return [...(this.#domains.get(domain)?.get(name) ?? [])];
  }

  async getUsers(role: string, domain = ""): Promise<string[]> {
    const above = [...(this.#domains.get(domain) ?? [])];
    return above.filter(([, roles]) => roles.has(role)).map(([name]) => name);
  }

  async getDomains(name: string): Promise<string[]> {
    return [...this.#domains].filter(([, above]) => above.has(name)).map(([domain]) => domain);
  }

  async getAllDomains(): Promise<string[]> {
    return [...this.#domains.keys()];
  }

  async printRoles(): Promise<void> {}
}

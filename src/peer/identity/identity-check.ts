/**
 * Checks in each handshake whether a node may use its data directory (boot.ts has the rules).
 *
 *   the claim has a flaw                        refused, and reported to the leader
 *   the claim is valid, and another boot of     refused as "in-use" until that boot has proved that it is alive ("copy"),
 *   the directory is connected                  or was silent for a few seconds: then its connections are ended
 *   the claim is valid otherwise                the boot is stored, then the node is accepted
 *   no claim: an earlier version                accepted, unless a boot of the directory is connected and alive
 */
import type { BootClaim, BootRecords, ClaimFlaw } from "../../replication/mod.ts";
import { type PeerHello, peerIdOfHello } from "../handshake/introduction.ts";
import type { Refusal } from "../handshake/refusal.ts";
import { BootChallenges } from "./boot-challenges.ts";
import { BootReports } from "./boot-reports.ts";
import { IdentityContext, type IdentityOptions } from "./identity-context.ts";
import { PromisedPositions } from "./promised-positions.ts";

export class IdentityCheck {
  readonly reports: BootReports;
  readonly promised: PromisedPositions;
  readonly #context: IdentityContext;
  readonly #challenges: BootChallenges;

  constructor(options: IdentityOptions) {
    this.#context = new IdentityContext(options);
    this.#challenges = new BootChallenges(this.#context);
    this.reports = new BootReports(this.#context);
    this.promised = new PromisedPositions(this.#context);
  }

  /** Returns why a node is refused, or stores its boot number and returns undefined. */
  check(hello: PeerHello): Refusal | undefined {
    const { boot, directory } = hello;
    const { boots, options } = this.#context;
    if (boots === undefined) return undefined;
    if (boot === undefined) return this.#challenge(boots, hello);
    const flaw = boots.flawOf(directory, boot, this.#context.promisedBy(hello));
    try {
      if (flaw !== undefined) return this.#refuse(boots, hello, boot, flaw);
      const refusal = this.#challenge(boots, hello);
      if (refusal !== undefined) return refusal;
      if (boots.accept(directory, boot)) this.#context.node?.forgetProgress?.(peerIdOfHello(hello));
      return undefined;
    } catch (reason) {
      options.logger.warn({ peer: hello.name, err: reason }, "the boot number of a peer could not be stored");
      return { reason: "in-use", message: "the boot number cannot be stored at the moment" };
    }
  }

  /** Returns why a node that was only probed would be refused, or undefined. Stores nothing. */
  problemOf(hello: PeerHello): string | undefined {
    const { boot, directory } = hello;
    const { boots } = this.#context;
    if (boots === undefined) return undefined;
    const flaw = boot && boots.flawOf(directory, boot, this.#context.promisedBy(hello));
    if (flaw !== undefined) return flawText(flaw, hello.name);
    return this.#context.otherConnections(directory, boot).length > 0
      ? "a running member has the same data directory"
      : undefined;
  }

  #refuse(boots: BootRecords, hello: PeerHello, boot: BootClaim, flaw: ClaimFlaw): Refusal {
    const { directory } = hello;
    if (flaw === "lost-entries") boots.addCopy(directory, boot.nonce);
    const seen = boots.seen(directory);
    if (seen !== undefined) this.reports.claimRefused(hello, boot, flaw, seen);
    if (this.#context.otherConnections(directory, boot).length > 0) return this.#refusal(hello, "copy");
    this.#context.node?.forgetProgress?.(peerIdOfHello(hello));
    // A boot that was refused for lost entries counts as a duplicate's afterwards. Its reason stays the same.
    const rolledBack = boots.isRolledBack(directory, boot, this.#context.promisedBy(hello));
    return this.#refusal(hello, rolledBack ? "lost-entries" : flaw);
  }

  /** For a node of an earlier version, which sends no boot number, this is the only check. */
  #challenge(boots: BootRecords, hello: PeerHello): Refusal | undefined {
    const { name, address, directory, boot } = hello;
    switch (this.#challenges.check(hello)) {
      case "free":
        return undefined;
      case "pending":
        return {
          reason: "in-use",
          message: `another process with the data directory of ${name} may still be running`,
        };
      case "duplicate":
        if (boot !== undefined) boots.addCopy(directory, boot.nonce);
        this.#context.options.logger.error(
          { member: name, address },
          "a node was started with a copy of a running member's data directory",
        );
        return this.#refusal(hello, "copy");
    }
  }

  #refusal({ name }: PeerHello, flaw: ClaimFlaw): Refusal {
    const by = this.#context.options.self().name;
    const message = `${by} refuses ${name}: ${flawText(flaw, name)}`;
    return { reason: flaw === "copy" ? "copy" : "rolled-back", message };
  }
}

/** Describes the flaw and how to repair it. */
function flawText(flaw: ClaimFlaw, name: string): string {
  const cause = {
    "older-boot": "its data directory was rolled back to an older copy, a later boot of it was seen",
    copy: `its data directory is a copy that another process of ${name} has used since`,
    "lost-entries": "its data directory was rolled back, acknowledged entries are gone from its log",
  }[flaw];
  return `${cause}. Stop it, then empty its data directory or run tailrace repair on it with --yes, and start it with the same flags`;
}

/** What the checks of identities use: boot numbers, members, and the open connections of each data directory. */
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Member } from "../../raft/mod.ts";
import { type BootClaim, type BootRecords, noPosition, type Position } from "../../replication/mod.ts";
import { type PeerHello, peerIdOfHello } from "../handshake/introduction.ts";
import type { PeerReplica } from "../options.ts";

/** An open connection of one boot of a data directory. */
export interface BootConnection {
  readonly boot: BootClaim;
  /** Number of pings that were answered on it. The boot is alive while this rises. */
  readonly roundTrips: number;
  close(fault: Fault): void;
}

export interface IdentityOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly replica: () => PeerReplica | undefined;
  readonly roster: () => readonly Member[];
  readonly self: () => PeerHello;
  /** The open connections of a directory, in both directions. */
  readonly connections: (directory: string) => readonly BootConnection[];
  readonly ask: (address: string, verb: string, body: unknown) => Promise<unknown>;
  /** Milliseconds without activity after which a boot can be replaced by another one. */
  readonly silentMs: number;
}

export class IdentityContext {
  readonly options: IdentityOptions;

  constructor(options: IdentityOptions) {
    this.options = options;
  }

  /** Undefined before a replica is attached. */
  get boots(): BootRecords | undefined {
    return this.options.replica()?.boots;
  }

  /** Undefined before Raft has started. */
  get node(): PeerReplica["node"] | undefined {
    const replica = this.options.replica();
    return replica?.started === true ? replica.node : undefined;
  }

  isMember(directory: string): boolean {
    return this.options.roster().some((member) => member.directory === directory);
  }

  /** The members except this node and the one with this directory. */
  membersExcept(directory: string): Member[] {
    const own = this.options.self().directory;
    return this.options
      .roster()
      .filter((member) => member.directory !== directory && member.directory !== own);
  }

  /** The position that the node with this directory has promised to this node as its leader. */
  promisedBy(hello: Pick<PeerHello, "directory">): Position {
    return this.node?.promisedBy?.(peerIdOfHello(hello)) ?? noPosition;
  }

  /** The open connections of other boots of this directory. */
  otherConnections(directory: string, boot: BootClaim | undefined): readonly BootConnection[] {
    return this.options.connections(directory).filter((connection) => connection.boot.nonce !== boot?.nonce);
  }

  /** Ends the connections of boots that are no longer valid. */
  closeInvalid(directory: string): void {
    for (const connection of this.options.connections(directory)) {
      if (this.boots?.flawOf(directory, connection.boot) === undefined) continue;
      connection.close(
        new Fault("unavailable", { message: "the boot number of the peer is no longer valid" }),
      );
    }
  }
}

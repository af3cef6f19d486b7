/**
 * The links of this node: one to each other member of the configuration, and one to each peer that has a channel to this
 * node.
 *
 * A peer that is no member of this node's configuration needs a link too: it may be the leader of a newer configuration,
 * which this node gets only if it responds. Such a link ends with the peer's last channel.
 */
import type { Member, PeerId } from "../../raft/mod.ts";
import type { ChannelName, PeerHello } from "../handshake/introduction.ts";
import type { PeerLink } from "./peer-link.ts";

export interface PeerLinksOptions {
  /** Opens a link. */
  readonly open: (member: Member) => PeerLink;
  /** Does this peer have an open channel to this node? */
  readonly isConnected: (peer: PeerId) => boolean;
  /** Called for each link that is closed. */
  readonly onClosed: (link: PeerLink) => void;
}

export class PeerLinks {
  readonly #options: PeerLinksOptions;
  readonly #links = new Map<PeerId, PeerLink>();
  /** Members that connected from another address than their address in the configuration. */
  readonly #moved = new Map<PeerId, { readonly from: string; readonly to: string }>();
  #roster: readonly Member[] = [];

  constructor(options: PeerLinksOptions) {
    this.#options = options;
  }

  get(peer: PeerId): PeerLink | undefined {
    return this.#links.get(peer);
  }

  byName(name: string): PeerLink | undefined {
    return this.#find((link) => link.target.name === name);
  }

  /** The connected link to the node at this address. */
  connectedAt(address: string): PeerLink | undefined {
    return this.#find((link) => link.target.address === address && link.connected);
  }

  ofDirectory(directory: string): PeerLink[] {
    return [...this.#links.values()].filter((link) => link.target.directory === directory);
  }

  /** The links to members of the configuration. */
  ofMembers(): PeerLink[] {
    return [...this.#links].flatMap(([peer, link]) => (this.#isMember(peer) ? [link] : []));
  }

  queuedBytes(channel: ChannelName): number {
    return [...this.#links.values()].reduce((sum, link) => sum + link.queuedBytes(channel), 0);
  }

  /** Opens and closes links for a new configuration. */
  update(roster: readonly Member[], self: Pick<PeerHello, "directory" | "address">): void {
    this.#roster = roster;
    const wanted = new Map<PeerId, Member>();
    for (const member of roster) {
      // A member with this node's own address has been replaced by this node.
      if (member.directory === self.directory || member.address === self.address) continue;
      wanted.set(member.peer, this.#withCurrentAddress(member));
    }
    for (const peer of this.#moved.keys()) if (!wanted.has(peer)) this.#moved.delete(peer);
    for (const [peer, link] of this.#links) {
      const member = wanted.get(peer);
      const { address, name } = link.target;
      if (member?.address === address && member.name === name) wanted.delete(peer);
      else if (member !== undefined || !this.#options.isConnected(peer)) this.#close(peer, link);
    }
    for (const member of wanted.values()) this.#open(member);
  }

  /** Connects to a peer that has opened a channel to this node. `self` is the Raft id of this node. */
  peerConnected(peer: PeerId, hello: PeerHello, self: PeerId | undefined): void {
    const link = this.#links.get(peer);
    if (link === undefined) {
      if (peer !== self) this.#open({ ...hello, peer });
    } else if (!link.connected && link.target.address !== hello.address)
      this.#move(peer, link, hello.address);
    else link.retrySoon();
  }

  /** Closes the link to a peer whose last channel has ended, if it is no member. */
  peerDisconnected(peer: PeerId): void {
    const link = this.#links.get(peer);
    if (link !== undefined && !this.#isMember(peer) && !this.#options.isConnected(peer))
      this.#close(peer, link);
  }

  /** Hands what was sent to the sockets now. */
  flush(): void {
    for (const link of this.#links.values()) link.flush();
  }

  /** Called once a second. */
  tick(): void {
    for (const link of this.#links.values()) link.tick();
  }

  close(): void {
    for (const [peer, link] of [...this.#links]) this.#close(peer, link);
  }

  /**
   * Dials a member at the address from which it connected. It may be needed for a quorum before the leader can commit a
   * configuration with that address. The configuration counts again once its address has changed.
   */
  #move(peer: PeerId, link: PeerLink, address: string): void {
    const member = this.#roster.find((one) => one.peer === peer);
    if (member !== undefined) this.#moved.set(peer, { from: member.address, to: address });
    this.#close(peer, link);
    this.#open({ ...link.target, peer, address });
  }

  /** The configuration of a snapshot can have the address of a member before it moved. */
  #withCurrentAddress(member: Member): Member {
    const moved = this.#moved.get(member.peer);
    if (moved?.from === member.address) return { ...member, address: moved.to };
    this.#moved.delete(member.peer);
    const link = this.#links.get(member.peer);
    if (link === undefined || !this.#isWhereItSays(member.peer, link)) return member;
    const { address } = link.target;
    if (address !== member.address) this.#moved.set(member.peer, { from: member.address, to: address });
    return { ...member, address };
  }

  /** Returns true while the peer and this node are linked both ways, and the peer says that it has the address of the link. */
  #isWhereItSays(peer: PeerId, { connected, hello, target }: PeerLink): boolean {
    return connected && hello?.address === target.address && this.#options.isConnected(peer);
  }

  #open(member: Member): void {
    this.#links.set(member.peer, this.#options.open(member));
  }

  #close(peer: PeerId, link: PeerLink): void {
    this.#links.delete(peer);
    this.#options.onClosed(link);
    link.close();
  }

  #isMember(peer: PeerId): boolean {
    return this.#roster.some((member) => member.peer === peer);
  }

  #find(matches: (link: PeerLink) => boolean): PeerLink | undefined {
    for (const link of this.#links.values()) if (matches(link)) return link;
    return undefined;
  }
}

/**
 * What becomes of a link, told to Raft and to people. Nothing is told of a link once another has taken its place.
 *
 * Never: decides anything.
 */
import type { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { PeerId } from "../../raft/mod.ts";
import type { PeerReplica } from "../options.ts";
import type { PeerMeter } from "../peer-meter.ts";
import type { LinkEvents, PeerLink } from "./peer-link.ts";

export interface LinkEventOptions {
  readonly peer: PeerId;
  /** Who it is, for the log. */
  readonly facts: object;
  /** Undefined once another has taken its place. */
  readonly link: () => Pick<PeerLink, "connected"> | undefined;
  /** Undefined before Raft has begun. */
  readonly node: () => PeerReplica["node"] | undefined;
  readonly meter: PeerMeter;
  readonly logger: Logger;
  /** A line that a peer can cause at will. */
  readonly warn: (facts: object, fault: Fault, sentence: string) => void;
  readonly disowned: (fault: Fault) => void;
  /** Both lanes are open. */
  readonly linked: () => void;
}

export function linkEvents(ports: LinkEventOptions): LinkEvents {
  const { peer, facts, link, meter, logger, warn } = ports;
  const node = (): PeerReplica["node"] | undefined => (link() === undefined ? undefined : ports.node());
  /** Why it could not be linked, as it was last told: that is no news at each attempt. */
  let trouble: string | undefined;
  return {
    unreachable: () => node()?.reportUnreachable(peer),
    gone: () => node()?.connectionRefused(peer),
    snapshot: (delivered) => node()?.reportSnapshot(peer, delivered),
    disowned: (fault) => {
      if (link() !== undefined) ports.disowned(fault);
    },
    dropped: (lane) => meter.dropped(lane),
    unsendable: (fault) => warn(facts, fault, "a message to a peer is larger than peers take"),
    opened: (lane) => {
      meter.opened(lane);
      if (link()?.connected !== true) return;
      trouble = undefined;
      logger.info(facts, "linked to a peer");
      ports.linked();
    },
    lost: (lane, fault, wasOpen) => {
      if (link() === undefined) return;
      const told = { ...facts, lane, why: fault.message, ...fault.facts };
      const why = String(fault.facts.code ?? fault.message);
      if (fault.kind !== "unavailable") warn({ ...facts, lane }, fault, "the link to a peer is refused");
      else if (wasOpen) logger.warn(told, "a link to a peer was lost");
      else if (why !== trouble) logger.warn({ ...told, err: fault.cause }, "a peer cannot be linked");
      if (!wasOpen) trouble = why;
    },
  };
}

/**
 * Reports the events of a link to Raft, to the metrics and to the log.
 *
 * Raft gets no events of a link that has been replaced by another one.
 */
import type { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { PeerId } from "../../raft/mod.ts";
import type { PeerReplica } from "../options.ts";
import type { PeerMeter } from "../peer-meter.ts";
import type { LinkEvents, PeerLink } from "./peer-link.ts";

export interface LinkEventOptions {
  readonly peer: PeerId;
  /** Name and address of the member, for the log. */
  readonly facts: { readonly peer: string; readonly address: string };
  /** Undefined once the link has been replaced or removed. */
  readonly link: () => Pick<PeerLink, "connected"> | undefined;
  /** Undefined before Raft has started. */
  readonly node: () => PeerReplica["node"] | undefined;
  readonly meter: PeerMeter;
  readonly logger: Logger;
  /** Logs a warning that peers can cause, with a limit on its rate. */
  readonly warn: (facts: object, fault: Fault, message: string) => void;
  readonly onDisowned: (fault: Fault) => void;
  /** Both channels are open. */
  readonly onConnected: () => void;
}

export function linkEvents(options: LinkEventOptions): LinkEvents {
  const { peer, facts, link, meter, logger, warn } = options;
  const node = (): PeerReplica["node"] | undefined => (link() === undefined ? undefined : options.node());
  /** Why the last attempt failed, as it was logged. The same reason is not logged again. */
  let loggedReason: string | undefined;
  return {
    unreachable: () => node()?.reportUnreachable(peer),
    connectionRefused: () => node()?.connectionRefused(peer),
    snapshotSent: (delivered) => node()?.reportSnapshot(peer, delivered),
    disowned: (fault) => {
      if (link() !== undefined) options.onDisowned(fault);
    },
    messageDropped: (channel) => meter.messageDropped(channel),
    messageTooLarge: (fault) => warn(facts, fault, "a message to a peer exceeds the size limit"),
    opened: (channel) => {
      meter.channelOpened(channel);
      if (link()?.connected !== true) return;
      loggedReason = undefined;
      logger.info(facts, "linked to a peer");
      options.onConnected();
    },
    lost: (channel, fault, wasOpen) => {
      if (link() === undefined) return;
      const details = { ...facts, channel, why: fault.message, ...fault.facts };
      const reason = String(fault.facts.code ?? fault.message);
      if (fault.kind !== "unavailable") warn({ ...facts, channel }, fault, "the link to a peer is refused");
      else if (wasOpen) logger.warn(details, "a link to a peer was lost");
      else if (reason !== loggedReason)
        logger.warn({ ...details, err: fault.cause }, "a peer cannot be linked");
      if (!wasOpen) loggedReason = reason;
    },
  };
}

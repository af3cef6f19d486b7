/** Counts of gossip traffic and of what was refused or lost, for metrics. They only grow. */
export interface Counters {
  /** Messages that violate the protocol. */
  malformed: number;
  /** Serf messages of a type that is not implemented. */
  unknownType: number;
  /** Members with other protocol versions. */
  incompatible: number;
  /** Addresses, incarnations or Lamport times that no honest member sends. */
  implausible: number;
  /** Members, intents, pings or dials beyond a limit. */
  overflow: number;
  /** Claims of a name by another address. */
  conflicts: number;
  /** Members that the admission check refused. */
  refused: number;
  suspicions: number;
  refutations: number;
  packetsOut: number;
  packetsIn: number;
  messagesOut: number;
}

export function newCounters(): Counters {
  return {
    malformed: 0,
    unknownType: 0,
    incompatible: 0,
    implausible: 0,
    overflow: 0,
    conflicts: 0,
    refused: 0,
    suspicions: 0,
    refutations: 0,
    packetsOut: 0,
    packetsIn: 0,
    messagesOut: 0,
  };
}

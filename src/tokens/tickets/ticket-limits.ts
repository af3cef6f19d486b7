/** The limits of tickets. */

/** How long a ticket can be used, in ms, on the monotonic clock. */
export const ticketLifeMs = 30_000;
/** Open tickets of one node, and those of one subject on it. */
export const ticketsMax = 4_096;
export const ticketsOfSubjectMax = 64;
/** Logs that one ticket names. */
export const ticketLogsMax = 16;

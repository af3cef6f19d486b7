/** The request headers of our own that any RPC accepts. */

/** `yes` asks that the appended records carry the trace of the call. */
export const traceRecordHeader = "tailrace-trace-record";

/** `no` asks for the fault "not-leader" instead of being forwarded to the leader. */
export const forwardHeader = "tailrace-forward";

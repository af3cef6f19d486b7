/**
 * Telemetry of forwarded writes: the node that executes one records a log line, a span and a duration, as for any other
 * call, with the protocol `peer`. The node that received the write records its own. Both have the same trace id.
 */
import { codeName, codeOf } from "../../api/mod.ts";
import type { Telemetry } from "../../lib/telemetry.ts";
import type { ForwardedCall, ForwardedStart } from "../../peer/mod.ts";

export function forwardedCalls(
  telemetry: Pick<Telemetry, "begin">,
): (start: ForwardedStart) => ForwardedCall {
  return ({ verb, subject, from, traceparent }) => {
    const call = telemetry.begin({
      method: `tailrace.Peer/${verb}`,
      protocol: "peer",
      subject,
      peer: from.address,
      traceparent,
    });
    call.tag("via", from.name);
    return {
      traceparent: call.traceparent,
      end(fault, bytesIn) {
        call.end(fault === undefined ? "ok" : codeName(codeOf(fault)), bytesIn, 0, fault);
      },
    };
  };
}

/**
 * A forwarded write as a call of the node that does it: a log line, a span and a duration like those of any other call,
 * by the protocol `peer`, besides those at the node where it came in. One trace id joins the two.
 *
 * Never: decides whether it is allowed.
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

/** `HEAD` and `DELETE /v1/stream/NAME`, with `?log_id=` of this log only. */
import { unlessAborted } from "../../calls/abort.ts";
import { streamRoutePermissions } from "../../calls/method-permissions.ts";
import { forwardHeader } from "../../calls/request-headers.ts";
import { appendOptionsOf } from "../../methods/append.ts";
import { headerOf } from "../exchange/exchange.ts";
import { answer, noBody, type OneLogRequest } from "../logs/log-call.ts";
import { asStream, identityHeaders, openStream, rejectHeaders, statedLog } from "./stream-call.ts";
import { guardHeaders, infoHeaders } from "./stream-headers.ts";
import { typeOfStream } from "./stream-type.ts";

/** Serves `HEAD /v1/stream/NAME`. */
export function headStream(plain: OneLogRequest): Promise<void> {
  const request = asStream(plain);
  return answer(request, streamRoutePermissions.head, request.name, noBody, async (begun) => {
    rejectHeaders(request, ["If-Match"], "a HEAD takes log_id in its query");
    const { info } = await openStream(request, begun);
    return {
      status: 200,
      headers: {
        "content-type": typeOfStream(info),
        "cache-control": "no-store",
        ...guardHeaders,
        ...identityHeaders(info),
        ...infoHeaders(info),
      },
    };
  });
}

const conditions = ["If-Match", "If-None-Match", "Tailrace-Expected-Offset"] as const;

/** Serves `DELETE /v1/stream/NAME`. */
export function deleteStream(plain: OneLogRequest): Promise<void> {
  const request = asStream(plain);
  const { exchange, options, name } = request;
  return answer(request, streamRoutePermissions.delete, name, noBody, async ({ call, signal }) => {
    const forward = headerOf(exchange, forwardHeader) !== "no";
    rejectHeaders(request, conditions, "a DELETE takes log_id in its query");
    const wanted = { kind: "delete", log: statedLog(request) } as const;
    await unlessAborted(
      options.logs.named.change(wanted, appendOptionsOf(call, {}, forward)),
      signal,
      "unknown",
    );
    return { status: 204, headers: { "cache-control": "no-store", ...guardHeaders } };
  });
}

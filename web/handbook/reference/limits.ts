/** The limits that users notice, from the constants that enforce them. */

import { casbinLinesMax } from "../../../src/access/casbin-rules.ts";
import { subjectCharsMax } from "../../../src/access/identity.ts";
import { settings } from "../../../src/agent/config/settings.ts";
import { specBytesMax } from "../../../src/agent/init/log-spec.ts";
import { memoryBytesAdvised, memoryBytesLeast } from "../../../src/agent/memory/machine-memory.ts";
import { responseMsDefault } from "../../../src/api/http/http-produce-consume.ts";
import { settingsBytesMax } from "../../../src/api/http/logs/log-info-json.ts";
import { limitMax } from "../../../src/api/http/logs/log-list.ts";
import { batchMax } from "../../../src/api/http/tail-request.ts";
import { resolvedMax } from "../../../src/api/methods/logs/log-directory.ts";
import { mediaTypeCharsMax } from "../../../src/api/methods/logs/media-type.ts";
import { defaultStreamBudget } from "../../../src/api/methods/stream-budget.ts";
import { namesMax } from "../../../src/api/methods/tails/asked-logs.ts";
import { elementValuesMax } from "../../../src/api/request-limits/append-split.ts";
import { jsonLimits } from "../../../src/api/request-limits/json-scan.ts";
import { messageFieldsMax } from "../../../src/api/request-limits/message-limits.ts";
import { filterBytesMax } from "../../../src/filter/compile/compile-filter.ts";
import { requestMsMax } from "../../../src/filter/tails/filtered-tail.ts";
import { defaultH2Limits } from "../../../src/http2/limits/h2-limits.ts";
import { cursorMetadataBytesMax, cursorNameBytesMax } from "../../../src/lib/names/cursor-name.ts";
import { defaultSettings } from "../../../src/log/frame/command.ts";
import { batchRecordsMax, frameBytesMax } from "../../../src/log/frame/frame.ts";
import { logNameBytesMax } from "../../../src/log/frame/log-command.ts";
import { recordHeadersMax } from "../../../src/log/frame/record-walk.ts";
import { initialOffsetMax } from "../../../src/log/offset-limit.ts";
import { batchesPerProducerMax } from "../../../src/log/state/produced-batch.ts";
import { logsMost } from "../../../src/replication/logs/log-quotas.ts";
import { peersMost } from "../../../src/server/connections/connection-limits.ts";
import { headerBytesMax } from "../../../src/server/http/http1-refusals.ts";
import { bytes, grouped, table } from "./table.ts";

type Row = readonly [limit: string, value: string, setting: string];

const groups: Readonly<Record<string, readonly Row[]>> = {
  "Records and appends": [
    [
      "size of a record with its headers",
      bytes(settings.recordBytesMax.value),
      "`--record-bytes-max`, and that of a log; at most 4 MiB less 64 KiB",
    ],
    ["headers of a record", grouped(recordHeadersMax), ""],
    ["records of a batch", grouped(batchRecordsMax), ""],
    ["bytes of a stored batch", bytes(frameBytesMax), ""],
    ["request message", bytes(settings.requestBytesMax.value), "`--request-bytes-max`"],
    ["fields of a binary message", grouped(messageFieldsMax), ""],
    [
      "values in a JSON body; in a batch, for each record",
      `${grouped(jsonLimits.valuesMax)}; ${grouped(elementValuesMax)}`,
      "",
    ],
    ["levels in a JSON body", grouped(jsonLimits.depthMax), ""],
    ["keys in a JSON body", bytes(jsonLimits.keyBytesMax), ""],
    ["bytes of a stream's appends in progress", bytes(defaultStreamBudget.streamBytesMax), ""],
    [
      "the same, once those of all streams are above the first number",
      `${bytes(defaultStreamBudget.totalBytesMax)}; ${bytes(defaultStreamBudget.streamBytesMin)}`,
      "",
    ],
    ["duration of a plain HTTP request that is not a tail", `${responseMsDefault / 1000} s`, ""],
  ],
  Producers: [
    ["batches of a producer with stored results", grouped(batchesPerProducerMax), ""],
    [
      "producers that a cluster stores; of one subject",
      `${grouped(defaultSettings.producersMax)}; ${grouped(defaultSettings.producersPerSubjectMax)}`,
      "",
    ],
    ["time until an idle producer is dropped", `${defaultSettings.producerAgeMaxMs / 86_400_000} days`, ""],
  ],
  Logs: [
    ["named logs of a cluster", grouped(logsMost), "`--logs-max`, and for one subject `--subject-logs-max`"],
    ["bytes of a log's name", grouped(logNameBytesMax), ""],
    ["cursors of one log", grouped(settings.logCursorsMax.value), "`--log-cursors-max`"],
    [
      "bytes of a cursor's name; of its metadata",
      `${cursorNameBytesMax}; ${grouped(cursorMetadataBytesMax)}`,
      "",
    ],
    ["time until an idle cursor is deleted", "30 days", ""],
    ["characters of a content type", grouped(mediaTypeCharsMax), ""],
    ["body with settings", bytes(settingsBytesMax), ""],
    ["logs in a page of the list", grouped(limitMax), ""],
    ["names in a tail of several logs", grouped(namesMax), "a prefix has no limit"],
    ["bytes of a filter", grouped(filterBytesMax), ""],
    [
      "time of the filter of one request; it goes on with another one",
      `${requestMsMax / 1000} s of work`,
      "",
    ],
    ["names without `log_id` that one stream of appends can use", grouped(resolvedMax), ""],
    ["records in an event of a tail", grouped(batchMax), "`batch=`"],
    ["file of `logs apply` and `--init-file`", bytes(specBytesMax), ""],
    ["first offset of a new log", "2^52", "`--initial-offset`"],
    ["offsets, times and sizes in JSON", "2^53 − 1", ""],
  ],
  Memory: [
    ["memory that a node needs; below this it logs a warning", bytes(memoryBytesAdvised), ""],
    ["memory without which a node does not start", bytes(memoryBytesLeast), ""],
    [
      "memory of all requests and responses in progress",
      "a fifth of the process's memory, at most 1 GiB",
      "`--memory-budget-bytes`",
    ],
  ],
  Connections: [
    ["clients", grouped(settings.connectionsMax.value), "`--connections-max`, fewer if descriptors are few"],
    [
      "clients from one address or with one certificate name",
      "half of them",
      "`--connections-per-client-max`",
    ],
    ["connections of peers", grouped(peersMost), ""],
    ["streams of an HTTP/2 connection", grouped(defaultH2Limits.streamsMax), ""],
    [
      "request headers of HTTP/1.1; of HTTP/2",
      `${bytes(headerBytesMax)}; ${bytes(defaultH2Limits.headerListBytesMax)}`,
      "",
    ],
    ["characters of a subject", grouped(subjectCharsMax), ""],
    ["lines that Casbin decides with a model of your own", grouped(casbinLinesMax), "`--acl-model-file`"],
  ],
};

export function limits(): string {
  if (initialOffsetMax !== 2 ** 52) throw new Error("the largest first offset has changed");
  return Object.entries(groups)
    .map(([name, rows]) => `## ${name}\n\n${table(["limit", "value", "setting"], rows)}`)
    .join("\n\n");
}

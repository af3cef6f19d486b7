/**
 * The HTTP routes. Names, permissions and parameters are those of the tables with which a node serves them; the types below
 * require a text for each of them.
 */
import {
  cursorRoutePermissions,
  getPermission,
  logRoutePermissions,
  type MethodPermission,
  postPermission,
  streamRoutePermissions,
  tailPermission,
  ticketPermission,
} from "../../../src/api/calls/method-permissions.ts";
import { loginRoutes } from "../../../src/api/http/login/login-paths.ts";
import type { routeParams } from "../../../src/api/http/logs/route-params.ts";
import type { tailParams } from "../../../src/api/http/tail-request.ts";
import { settingFields, settingKeys } from "../../../src/lib/named-log-settings.ts";
import { code, table } from "./table.ts";

interface Description<Param extends string> {
  readonly does: string;
  readonly params: Readonly<Record<Param, string>>;
  /** Request headers of this route → meaning. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly response: string;
}

type Named = keyof typeof routeParams;
type Descriptions = { readonly [Route in Named]: Description<(typeof routeParams)[Route][number]> };

const logId = "the id that the log must have; refused if the name means another log";
const begin =
  "where to begin: an offset, `start`, `end`, `-N` for the last N, `@milliseconds` since 1970, or an RFC 3339 time";
const tail = {
  from: `${begin}. Default \`end\``,
  limit: "end after this many records, from 1 on. Default: no end",
  format: "how values are shown: `base64` (default), `text` or `json`",
  batch:
    "up to this many records in one event, 1 to 1,000, and events with the position. Default: one record for each event",
  cursor:
    "begin at this [cursor](cursors.md) of the log; at `from`, by default `start`, if there is none. Needs the action `cursor`, too",
  filter:
    "only records for which this condition in CEL holds, and at least once a second an event with the position. Default: all records",
} as const satisfies Record<(typeof tailParams)[number], string>;
const lastEventId = { "Last-Event-ID": "go on after this event; wins over `from`" };
const ifMatch = { "If-Match": "an ETag of the log: 412 if the log has changed since" };
const settingsBody = "the settings of the log as a JSON object, see [log settings](#log-settings)";

const named: Descriptions = {
  list: {
    does: "Lists the named logs that the caller may describe, in the order of their names.",
    params: {
      prefix: "only names that begin with it",
      after: "only names after it: `next` of the page before",
      limit: "logs in the page, 1 to 256. Default 256",
    },
    response: '200, `{"logs":[…],"next":…}`; `next` is null on the last page',
  },
  create: {
    does: "Creates a log.",
    params: {},
    headers: { "If-None-Match: *": "412 if the log exists" },
    body: `${settingsBody}; empty for none`,
    response: "201; 200 if the log exists and has every stated setting; 409 if it has others",
  },
  update: {
    does: "Changes settings of a log, or closes it. A setting that is null is that of the cluster again.",
    params: { log_id: logId },
    headers: ifMatch,
    body: `${settingsBody}, or \`{"closed":true}\`. A closed log takes no more records and is not opened again`,
    response: "200, the name, id and settings after the change",
  },
  delete: {
    does: "Deletes a log with its records.",
    params: { log_id: logId },
    headers: ifMatch,
    response: "204",
  },
  head: {
    does: "The headers of `GET /logs/NAME`, or with `offset` those of a record.",
    params: { log_id: logId },
    response: "200 with `ETag`, `Tailrace-Lowest`, `Tailrace-Next` and `Tailrace-Log-Id`",
  },
  describe: {
    does: "Describes a log: id, settings, lowest and next offset, bytes, times, version, owner.",
    params: { log_id: logId },
    response: "200 with the same headers as HEAD; 304 if `If-None-Match` has the ETag",
  },
  produce: {
    does: "Appends to a log.",
    params: {
      create: "create the log if it does not exist and the caller may create it",
      log_id: logId,
    },
    headers: {
      "Content-Type: application/vnd.tailrace+json":
        'the body is `{"record":{…}}` or `{"records":[…]}`, with `value` and `key` in base64. With any other type the body is the value of one record',
      "Tailrace-Key": "the key of the record, percent-encoded",
      "Tailrace-Key-Base64": "the key of the record, in base64",
      "Tailrace-Expected-Offset": "append only if the record gets this offset, else 409",
      "Tailrace-Producer: id,epoch,sequence": "an append with the same numbers is written once",
    },
    response:
      '200, `{"offset":N}`, with `count` for several records and `duplicate` for a repeated append; `Tailrace-Stored` says how the body was read',
  },
  consume: {
    does: "Reads one record.",
    params: { offset: "the offset of the record", format: tail.format, log_id: logId },
    headers: {
      "Accept: application/octet-stream":
        "the value as it is, with the `content_type` of the log. So does the type of the log itself",
    },
    response: "200, the record as JSON, or its value; with `log_id` it can be cached",
  },
  tail: {
    does: "Reads records of one log: lines of JSON up to the end, or events that go on.",
    params: {
      ...tail,
      from: `${begin}. Default: \`end\` with \`follow\` and for events, else \`start\``,
      follow: "go on at the end and wait for more records. Default for events",
      log_id: logId,
    },
    headers: { "Accept: text/event-stream": "server-sent events", ...lastEventId },
    response: "200, a stream. An event has the offset as its id. The stream ends with the event `end`",
  },
  tailLogs: {
    does: "Reads the records of several logs in the order in which the cluster appended them, and goes on.",
    params: {
      ...tail,
      from: "a token, `start` or `end`. Default `end`",
      cursor: "only with one `log`: begin at this cursor",
      log: "the name of a log; repeated, up to 256",
      log_id: "the ids of the logs, in the order of the names; none, or one for each name",
      prefix: "all named logs whose names begin with it, also those that are created later; empty for all",
    },
    headers: { "Accept: application/x-ndjson": "lines of JSON instead of events", ...lastEventId },
    response: "200, a stream. An event has a token as its id, which is valid on every node",
  },
};

const plain: readonly (readonly [MethodPermission, Description<string>])[] = [
  [
    postPermission,
    {
      does: "Appends one record to the log `default`. The form of the request is that of the book's first chapter.",
      params: {},
      body: '`{"record":{"value":BASE64,"key":BASE64,"headers":[{"key":TEXT,"value":BASE64}]}}`; the content type is ignored',
      response: '200, `{"offset":N}`',
    },
  ],
  [
    getPermission,
    {
      does: "Reads one record of the log `default`. A browser that asks for a page is redirected to the dashboard.",
      params: { offset: "the offset of the record" },
      body: '`{"offset":N}`, instead of the parameter',
      response: '200, `{"record":{…}}`',
    },
  ],
  [
    tailPermission,
    {
      does: "Tails the log `default`: events for an `EventSource`, or lines of JSON.",
      params: tail,
      headers: { "Accept: application/x-ndjson": "lines of JSON instead of events", ...lastEventId },
      response: "200, a stream, as for `GET /logs/NAME?from`",
    },
  ],
  [
    ticketPermission,
    {
      does: "Makes a ticket, with which an `EventSource` opens one tail: the parameter `ticket` of a tail, see [tokens](security.md#tokens).",
      params: {},
      body: '`{"log":NAME}`, `{"logs":[NAME]}` with up to 16 names, or `{"prefix":TEXT}`; empty for the log `default`',
      response:
        '201, `{"ticket":"…","expires_in_ms":30000}`; 429 with 64 tickets of the caller that were not used yet',
    },
  ],
];

const cursorLog = "the log of the cursor. Default `default`";
const cursorMatch = { "If-Match": "the ETag of the cursor: 412 if it was committed since" };

const cursors: Readonly<Record<keyof typeof cursorRoutePermissions, Description<string>>> = {
  list: {
    does: "Lists the cursors of a log in the order of their names, see [cursors](cursors.md).",
    params: {
      log: cursorLog,
      log_id: logId,
      after: "only names after it: `next` of the page before",
      limit: "cursors in the page, 1 to 256. Default 256",
    },
    response:
      '200, `{"log":…,"lowest":…,"next_offset":…,"cursors":[…],"next":…}`; each cursor has `lag`, the records from it to the end',
  },
  get: {
    does: "Returns a cursor, as the last acknowledged commit left it.",
    params: { log: cursorLog, log_id: logId },
    response: "200; the ETag is the version; 404 (`NO_SUCH_CURSOR`) if there is none",
  },
  commit: {
    does: "Sets a cursor, and creates it if there is none.",
    params: { log: cursorLog, log_id: logId },
    headers: { ...cursorMatch, "If-None-Match: *": "412 if the cursor exists" },
    body: '`{"offset":N,"metadata":TEXT}`; metadata can be absent, and is at most 1,024 bytes',
    response:
      "200, or 201 for a new cursor, with the new ETag; 404 for an offset beyond the end; 412 with the present version as `found` and its `offset`",
  },
  delete: {
    does: "Deletes a cursor.",
    params: { log: cursorLog, log_id: logId },
    headers: cursorMatch,
    response: "204; 404 if there is none",
  },
};

const streamOffset = "an offset of `Stream-Next-Offset`, `-1` for the start, `now` for the end";
const liveParams = {
  offset: streamOffset,
  cursor: "`Stream-Cursor` of the response before",
  log_id: logId,
};
const streamResponse =
  "`Stream-Next-Offset` is where to go on, `Stream-Up-To-Date: true` says that it is the end, `Stream-Closed: true` that no more follows";

type StreamRoute = Exclude<keyof typeof streamRoutePermissions, "misnamed">;

const streams: Readonly<Record<StreamRoute, Description<string>>> = {
  create: {
    does: "Creates a stream, see [Durable Streams](durable-streams.md).",
    params: {},
    headers: {
      "Content-Type": "the type of the stream. Default `application/octet-stream`",
      "Stream-TTL": "seconds after the last append until the stream is deleted",
      "Stream-Expires-At": "when it is deleted, an RFC 3339 time",
      "Stream-Closed: true": "no append follows the body; needs `configure`",
      "If-None-Match: *": "create only a new stream: 412 if it exists",
    },
    body: "the first content, or nothing; needs `produce`",
    response: "201; 200 if the stream exists with this configuration; 409 if it has another one",
  },
  append: {
    does: "Appends to a stream, or closes it.",
    params: { log_id: logId },
    headers: {
      "Content-Type": "that of the stream, else 409",
      "Stream-Closed: true": "no append follows; the body may be empty; needs `configure`",
      "Stream-Seq": "must be greater, as bytes, than that of every append before, else 409",
      "Producer-Id": "with `Producer-Epoch` and `Producer-Seq`: a repeated request is written once",
      "Producer-Epoch": "a lower one than before is 403",
      "Producer-Seq": "counts the requests of an epoch from 0; a gap is 409 with `Producer-Expected-Seq`",
      "Tailrace-Expected-Offset": "append only if this is the end of the stream, else 409",
    },
    body: "a message; for `application/json` one value, or an array of values",
    response:
      "204; 200 for a new request of a producer; 409 with `Stream-Closed: true` if the stream is closed",
  },
  read: {
    does: "Reads a stream, about 1 MiB at a time.",
    params: { offset: `${streamOffset}. Default \`-1\``, log_id: logId },
    headers: { "If-None-Match": "an ETag of a response: 304 if nothing was appended since" },
    response: `200; 410 for an offset that was trimmed. ${streamResponse}`,
  },
  longPoll: {
    does: "Reads a stream, and waits at its end for up to 15 seconds.",
    params: liveParams,
    response: `200; 204 if nothing was appended in time. ${streamResponse}`,
  },
  events: {
    does: "Reads a stream as server-sent events, for a minute: `data`, and after each of them `control`.",
    params: liveParams,
    response:
      "200; `control` has `streamNextOffset`, `streamCursor`, `upToDate`, and `streamClosed` at the end. Bytes are in base64 (`Stream-SSE-Data-Encoding`)",
  },
  head: {
    does: "The headers of a stream.",
    params: { log_id: logId },
    response: "200 with `Stream-Next-Offset`, `Stream-TTL` or `Stream-Expires-At`, and `Stream-Closed`",
  },
  delete: { does: "Deletes a stream with its records.", params: { log_id: logId }, response: "204" },
};

function section(
  { name, action }: Pick<MethodPermission, "name"> & Partial<MethodPermission>,
  description: Description<string>,
): string {
  const { does, params, headers = {}, body, response } = description;
  const rows = [
    ...(action === undefined ? [] : [["permission", "", code(action)]]),
    ...Object.entries(params).map(([param, meaning]) => ["parameter", code(param), meaning]),
    ...Object.entries(headers).map(([header, meaning]) => ["header", code(header), meaning]),
    ...(body === undefined ? [] : [["body", "", body]]),
    ["response", "", response],
  ];
  return `### ${name}\n\n${does}\n\n${table(["part", "name", "meaning"], rows)}`;
}

/** Methods and paths are those of LoginRoutes. They need no permission. */
const logins: { readonly [Path in keyof typeof loginRoutes]: Description<string> } = {
  "/login": {
    does: "Leads a browser to the OpenID provider. A link of another site is refused.",
    params: { return: "the page of the dashboard to come back to. Default `/ui/`" },
    response: "303, with a cookie of ten minutes",
  },
  "/login/callback": {
    does: "Completes the login: the provider leads the browser here.",
    params: { code: "from the provider", state: "from the provider" },
    response: "303 to the page of before, with the cookie of the session; a page with the reason otherwise",
  },
  "/login/options": {
    does: "Says how a browser can log in.",
    params: {},
    response:
      '200, `{"provider":…,"session":…}`: the provider or null; the session of the request is `open`, `none`, `ended`, or `unknown` while it cannot be checked. `left_ms`: how long an open session goes on',
  },
  "/login/token": {
    does: "Opens a session with a token. Only a page of the node can do this.",
    params: {},
    body: '`{"token":TEXT}`',
    response: '200, `{"subject":…,"expires_ms":…}`, with the cookie of the session',
  },
  "/logout": {
    does: "Ends the session of the request on all nodes. Only a page of the node can do this.",
    params: {},
    response: "204, which removes the cookie",
  },
};

export function routes(): string {
  const ofLogs = (Object.keys(named) as Named[]).map((route) =>
    section(logRoutePermissions[route], named[route]),
  );
  const ofCursors = (Object.keys(cursors) as (keyof typeof cursors)[]).map((route) =>
    section(cursorRoutePermissions[route], cursors[route]),
  );
  const ofStreams = (Object.keys(streams) as StreamRoute[]).map((route) =>
    section(streamRoutePermissions[route], streams[route]),
  );
  const all = plain.map(([permission, description]) => section(permission, description));
  const ofLogins = (Object.keys(logins) as (keyof typeof logins)[]).map((path) =>
    section({ name: `${loginRoutes[path]} ${path}` }, logins[path]),
  );
  return [...all, ...ofLogs, ...ofCursors, ...ofStreams, ...ofLogins].join("\n\n");
}

const settingMeanings: Readonly<Record<keyof typeof settingFields, string>> = {
  retentionBytes: "the oldest records beyond this many bytes are deleted",
  retentionAgeMs: "records that are older, in milliseconds, are deleted",
  maxBytes: "appends after which the log would hold more bytes are refused (`LOG_FULL`)",
  ttlMs: "the log is deleted this long after its last append, in milliseconds",
  expiresAtMs: "the log is deleted at this time, in milliseconds since 1970",
  recordBytesMax: "larger records are refused",
  contentType: "the media type of the records",
};

export function logSettings(): string {
  return table(
    ["field", "flag of `tailrace logs`", "meaning"],
    settingKeys.map((key) => [
      code(settingFields[key]),
      code(`--${settingFields[key].replace(/_ms$/, "").replaceAll("_", "-")}`),
      settingMeanings[key],
    ]),
  );
}

export function opsRoutes(): string {
  return table(
    ["route of the ops port", "response"],
    [
      [code("GET /livez"), "200 while the event loop turns. Also as `/healthz`"],
      [
        code("GET /readyz"),
        "200 if every check passes, else 503 with the reasons. `?verbose` lists all checks",
      ],
      [code("GET /metrics"), "the [metrics](monitoring.md#metrics), Prometheus text"],
      [code("GET /version"), "the version, as JSON"],
    ],
  );
}

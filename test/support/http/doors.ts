/**
 * The doors to logs, and what each needs: an HTTP route with its parameters, or an RPC that names a log. The matrix of permissions compares
 * the table with the routes and the generated services.
 */
import type { Action } from "../../../src/access/mod.ts";

export type Needs = readonly Action[] | "authenticated";

/** One request that opens a door. LOG stands for the name of a log. What it would change is prevented by a condition. */
export interface Door {
  /** The name of its permission in method-permissions.ts. */
  readonly permission: string;
  readonly request: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly needs: Needs;
  /** The log is `default`: its object is every log. */
  readonly ofDefault?: true;
  /** A right to any log opens it; it shows these logs only. */
  readonly ofSome?: true;
  /** A ticket opens it. */
  readonly isTail?: true;
}

const never = { "if-match": '"1-1.1"' };
const events = { accept: "text/event-stream" };
const notAtEnd = { "tailrace-expected-offset": "999" };
const text = { "content-type": "text/plain" };

export const doors: readonly Door[] = [
  {
    permission: "POST /",
    request: "POST /",
    body: '{"record":{"value":"eA=="}}',
    needs: ["produce"],
    ofDefault: true,
  },
  { permission: "GET /", request: "GET /?offset=0", needs: ["consume"], ofDefault: true },
  {
    permission: "GET /tail",
    request: "GET /tail?from=start",
    needs: ["consume"],
    ofDefault: true,
    isTail: true,
  },
  {
    permission: "GET /tail",
    request: "GET /tail?from=start",
    headers: { accept: "application/x-ndjson" },
    needs: ["consume"],
    ofDefault: true,
    isTail: true,
  },
  {
    permission: "GET /tail",
    request: "GET /tail?from=start&filter=offset%20%3E%3D%200",
    needs: ["consume"],
    ofDefault: true,
    isTail: true,
  },
  {
    permission: "GET /tail",
    request: "GET /tail?filter=not-a-filter(",
    needs: ["consume"],
    ofDefault: true,
    isTail: true,
  },
  {
    permission: "GET /logs/NAME?from",
    request: "GET /tail?log=LOG&from=start",
    needs: ["consume"],
    isTail: true,
  },
  {
    permission: "GET /logs/NAME?from",
    request: "GET /tail?log=LOG&cursor=c",
    needs: ["consume", "cursor"],
    isTail: true,
  },
  {
    permission: "GET /tail?prefix",
    request: "GET /tail?log=LOG&log=default&from=start",
    needs: ["consume"],
    ofDefault: true,
    isTail: true,
  },
  {
    permission: "GET /tail?prefix",
    request: "GET /tail?prefix=LOG&from=start",
    needs: ["consume"],
    isTail: true,
  },
  { permission: "GET /logs", request: "GET /logs?prefix=LOG", needs: ["describe"], ofSome: true },
  { permission: "/logs/NAME", request: "GET /logs/LOG//a", needs: "authenticated" },
  {
    permission: "PUT /logs/NAME",
    request: "PUT /logs/LOG",
    headers: { "if-none-match": "*" },
    needs: ["create"],
  },
  {
    permission: "PATCH /logs/NAME",
    request: "PATCH /logs/LOG",
    headers: never,
    body: '{"max_bytes":1}',
    needs: ["configure"],
  },
  {
    permission: "PATCH /logs/NAME",
    request: "PATCH /logs/LOG",
    headers: never,
    body: '{"closed":true}',
    needs: ["configure"],
  },
  { permission: "DELETE /logs/NAME", request: "DELETE /logs/LOG", headers: never, needs: ["delete"] },
  { permission: "HEAD /logs/NAME", request: "HEAD /logs/LOG", needs: ["describe"] },
  { permission: "GET /logs/NAME", request: "GET /logs/LOG", needs: ["describe"] },
  {
    permission: "POST /logs/NAME",
    request: "POST /logs/LOG",
    headers: notAtEnd,
    body: "x",
    needs: ["produce"],
  },
  { permission: "GET /logs/NAME?offset", request: "GET /logs/LOG?offset=0", needs: ["consume"] },
  {
    permission: "GET /logs/NAME?offset",
    request: "GET /logs/LOG?offset=0",
    headers: { accept: "application/octet-stream" },
    needs: ["consume"],
  },
  { permission: "GET /logs/NAME?offset", request: "HEAD /logs/LOG?offset=0", needs: ["consume"] },
  {
    permission: "GET /logs/NAME?from",
    request: "GET /logs/LOG?from=start&filter=text%20%3D%3D%20%22x%22",
    needs: ["consume"],
  },
  {
    permission: "GET /logs/NAME?from",
    request: "GET /logs/LOG?follow&from=start",
    headers: events,
    needs: ["consume"],
    isTail: true,
  },
  { permission: "GET /cursors", request: "GET /cursors?log=LOG", needs: ["describe"] },
  { permission: "GET /cursors/NAME", request: "GET /cursors/c?log=LOG", needs: ["cursor"] },
  {
    permission: "PUT /cursors/NAME",
    request: "PUT /cursors/c?log=LOG",
    headers: { "if-match": '"999"' },
    body: '{"offset":0}',
    needs: ["cursor"],
  },
  {
    permission: "DELETE /cursors/NAME",
    request: "DELETE /cursors/c?log=LOG",
    headers: { "if-match": '"999"' },
    needs: ["cursor"],
  },
  { permission: "/v1/stream/NAME", request: "GET /v1/stream/LOG//a", needs: "authenticated" },
  {
    permission: "PUT /v1/stream/NAME",
    request: "PUT /v1/stream/LOG",
    headers: { ...text, "if-none-match": "*" },
    needs: ["create"],
  },
  {
    permission: "POST /v1/stream/NAME",
    request: "POST /v1/stream/LOG",
    headers: { ...text, ...notAtEnd },
    body: "x",
    needs: ["produce"],
  },
  { permission: "GET /v1/stream/NAME", request: "GET /v1/stream/LOG?offset=-1", needs: ["consume"] },
  {
    permission: "GET /v1/stream/NAME?live=long-poll",
    request: "GET /v1/stream/LOG?offset=-1&live=long-poll",
    needs: ["consume"],
  },
  {
    permission: "GET /v1/stream/NAME?live=sse",
    request: "GET /v1/stream/LOG?offset=-1&live=sse",
    needs: ["consume"],
    isTail: true,
  },
  { permission: "HEAD /v1/stream/NAME", request: "HEAD /v1/stream/LOG", needs: ["describe"] },
  { permission: "DELETE /v1/stream/NAME", request: "DELETE /v1/stream/LOG?log_id=1-1", needs: ["delete"] },
  { permission: "POST /tickets", request: "POST /tickets", body: '{"log":"LOG"}', needs: ["consume"] },
  {
    permission: "POST /tickets",
    request: "POST /tickets",
    body: '{"prefix":"LOG"}',
    needs: ["consume"],
    ofSome: true,
  },
];

/** What the RPCs that name a log need. */
export const rpcs: Readonly<Record<string, Action>> = {
  "Log/Produce": "produce",
  "Log/ProduceStream": "produce",
  "Log/ProduceBatch": "produce",
  "Log/ProduceBulk": "produce",
  "Log/Consume": "consume",
  "Log/ConsumeStream": "consume",
  "Log/ConsumeBatches": "consume",
  "Log/Describe": "describe",
  "Log/Trim": "trim",
  "Logs/CreateLog": "create",
  "Logs/GetLog": "describe",
  "Logs/TailLogs": "consume",
  "Logs/UpdateLog": "configure",
  "Logs/CloseLog": "configure",
  "Logs/DeleteLog": "delete",
  "Cursors/Get": "cursor",
  "Cursors/Commit": "cursor",
  "Cursors/List": "describe",
  "Cursors/Delete": "cursor",
};
/** They name no log, or show each caller what it may see: permissions.test.ts. */
export const withoutLog = ["Log/GetServers", "Log/Watch", "Logs/ListLogs"];

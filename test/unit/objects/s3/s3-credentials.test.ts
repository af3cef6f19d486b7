/** Where the credentials for S3 are from. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { HttpExchanger } from "../../../../src/objects/s3/http-exchange.ts";
import { CredentialSource } from "../../../../src/objects/s3/s3-credentials.ts";
import { scratch } from "../../../support/scratch.ts";

let answer = { status: 200, body: "" };
const asked: { readonly request: IncomingMessage; readonly body: string }[] = [];
const server = createServer(async (request, response) => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  asked.push({ request, body: Buffer.concat(pieces).toString() });
  response.writeHead(answer.status).end(answer.body);
});
let url = "";
before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  asked.length = 0;
});

const sourceOf = (environment: Record<string, string>): CredentialSource =>
  new CredentialSource(environment, "eu-north-1", new HttpExchanger(systemClock), systemClock);
const inMs = (ms: number): string => new Date(systemClock.wallMs() + ms).toISOString();
const hour = 3_600_000;

test("the variables come first", async () => {
  const keys = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" };
  assert.deepEqual(await sourceOf(keys).get(), {
    accessKeyId: "id",
    secretAccessKey: "secret",
    sessionToken: undefined,
  });
  assert.equal((await sourceOf({ ...keys, AWS_SESSION_TOKEN: "t" }).get()).sessionToken, "t");
  await assert.rejects(sourceOf({ AWS_ACCESS_KEY_ID: "id" }).get(), {
    kind: "config",
    message: /there are no credentials for S3/,
  });
});

test("a service account of Kubernetes gets those of its role, and again before they expire", async (t) => {
  const file = join(scratch(t), "token");
  writeFileSync(file, "a.b.c\n");
  const source = sourceOf({
    AWS_ROLE_ARN: "arn:aws:iam::1:role/backup",
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_ENDPOINT_URL_STS: url,
  });
  const give = (id: string, ms: number): void => {
    answer = {
      status: 200,
      body: `<AssumeRoleWithWebIdentityResponse><Credentials><AccessKeyId>${id}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${inMs(ms)}</Expiration></Credentials></AssumeRoleWithWebIdentityResponse>`,
    };
  };
  give("one", hour);
  assert.deepEqual([(await source.get()).accessKeyId, (await source.get()).accessKeyId], ["one", "one"]);
  assert.equal(asked.length, 1);
  const form = new URLSearchParams(asked[0]!.body);
  assert.deepEqual(
    [form.get("Action"), form.get("RoleArn"), form.get("WebIdentityToken")],
    ["AssumeRoleWithWebIdentity", "arn:aws:iam::1:role/backup", "a.b.c"],
  );
  source.forget();
  give("two", 1000);
  assert.equal((await source.get()).accessKeyId, "two");
  give("three", hour);
  assert.equal((await source.get()).accessKeyId, "three");
  answer = { status: 403, body: "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>" };
  source.forget();
  await assert.rejects(source.get(), { kind: "permission-denied", message: /STS at 127.*AccessDenied/ });
  answer = { status: 200, body: "<nothing/>" };
  await assert.rejects(source.get(), { kind: "unavailable" });
});

test("an agent beside the container gives them for a token", async (t) => {
  const file = join(scratch(t), "token");
  writeFileSync(file, "secret-token");
  answer = {
    status: 200,
    body: JSON.stringify({ AccessKeyId: "a", SecretAccessKey: "s", Token: "t", Expiration: inMs(hour) }),
  };
  const environment = {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
  };
  assert.equal((await sourceOf(environment).get()).accessKeyId, "a");
  assert.equal(asked[0]!.request.headers.authorization, "secret-token");
  answer = { status: 200, body: "not JSON" };
  await assert.rejects(sourceOf(environment).get(), { kind: "unavailable" });
  for (const uri of ["http://example.org/x", "file:///etc/passwd", "x"])
    await assert.rejects(
      sourceOf({ AWS_CONTAINER_CREDENTIALS_FULL_URI: uri }).get(),
      { kind: "config" },
      uri,
    );
  await assert.rejects(
    sourceOf({ ...environment, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(scratch(t), "none") }).get(),
    { kind: "config", message: /cannot be read/ },
  );
});

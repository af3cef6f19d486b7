/**
 * Where the credentials are from, in this order:
 *
 *   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE           the role of a service account of Kubernetes, from STS
 *   AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI     an agent beside the container (EKS Pod Identity, ECS)
 *
 * Credentials that expire are fetched again five minutes before.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { Fault } from "../../fault.ts";
import { errorText } from "../../lib/disk/disk.ts";
import { fieldsOf } from "../../lib/fields.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { isLoopback } from "../../lib/value-kind.ts";
import type { HttpExchanger } from "./http-exchange.ts";
import type { Environment } from "./s3-settings.ts";
import { withoutSecrets } from "./s3-url.ts";
import { elementOf } from "./s3-xml.ts";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

interface Fetched extends Credentials {
  /** In ms since 1970, by the issuer. */
  readonly expiresMs: number;
}

const earlyMs = 5 * 60_000;
const answerBytesMax = 64 * 1024;
const fetchMs = 10_000;
const ecsHost = "http://169.254.170.2";
/** EKS Pod Identity, over IPv4 and IPv6. */
const agentHosts = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

export class CredentialSource {
  readonly #environment: Environment;
  readonly #region: string;
  readonly #http: Pick<HttpExchanger, "send">;
  readonly #clock: Clock;
  #fetched: Promise<Fetched> | undefined;

  constructor(environment: Environment, region: string, http: Pick<HttpExchanger, "send">, clock: Clock) {
    [this.#environment, this.#region, this.#http, this.#clock] = [environment, region, http, clock];
  }

  /** @throws Fault "config" without credentials, "permission-denied" or "unavailable" if they cannot be fetched */
  async get(): Promise<Credentials> {
    const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = this.#environment;
    if (accessKeyId && secretAccessKey)
      return {
        accessKeyId,
        secretAccessKey,
        sessionToken: this.#environment["AWS_SESSION_TOKEN"] || undefined,
      };
    const known = await this.#fetched?.catch(() => undefined);
    if (known !== undefined && known.expiresMs - this.#clock.wallMs() > earlyMs) return known;
    this.#fetched = this.#fetch();
    return await this.#fetched;
  }

  /** The server says that they have expired. */
  forget(): void {
    this.#fetched = undefined;
  }

  #fetch(): Promise<Fetched> {
    const env = this.#environment;
    const { AWS_ROLE_ARN: role, AWS_WEB_IDENTITY_TOKEN_FILE: file } = env;
    if (role && file) return this.#assumeRole(role, tokenIn(file));
    const relative = env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"];
    const full = relative ? `${ecsHost}${relative}` : env["AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    if (full) return this.#ofContainer(full);
    throw new Fault("config", {
      message:
        "there are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, or AWS_CONTAINER_CREDENTIALS_FULL_URI",
    });
  }

  async #assumeRole(role: string, token: string): Promise<Fetched> {
    const endpoint = this.#environment["AWS_ENDPOINT_URL_STS"] || `https://sts.${this.#region}.amazonaws.com`;
    const form = new URLSearchParams({
      ...{
        Action: "AssumeRoleWithWebIdentity",
        Version: "2011-06-15",
        RoleArn: role,
        WebIdentityToken: token,
      },
      RoleSessionName: this.#environment["AWS_ROLE_SESSION_NAME"] || "tailrace",
    });
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const xml = await this.#ask("STS", new URL(endpoint), "POST", headers, form.toString());
    return checked({
      AccessKeyId: elementOf(xml, "AccessKeyId"),
      SecretAccessKey: elementOf(xml, "SecretAccessKey"),
      Token: elementOf(xml, "SessionToken"),
      Expiration: elementOf(xml, "Expiration"),
    });
  }

  async #ofContainer(uri: string): Promise<Fetched> {
    const url = URL.canParse(uri) ? new URL(uri) : undefined;
    if (url === undefined || !isAgent(url))
      throw new Fault("config", {
        message: `AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or an address of this machine or of the agent, not "${withoutSecrets(uri)}"`,
      });
    const file = this.#environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
    const token = file ? tokenIn(file) : this.#environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"];
    const headers: Record<string, string> = token ? { authorization: token } : {};
    const text = await this.#ask("the agent", url, "GET", headers, "");
    try {
      return checked(fieldsOf(JSON.parse(text)));
    } catch (reason) {
      throw reason instanceof Fault ? reason : notCredentials();
    }
  }

  async #ask(
    who: string,
    url: URL,
    method: string,
    headers: Readonly<Record<string, string>>,
    form: string,
  ): Promise<string> {
    const body = form === "" ? [] : [Buffer.from(form)];
    const length: Record<string, string> = form === "" ? {} : { "content-length": String(body[0]!.length) };
    const request = {
      method,
      url,
      headers: { ...headers, ...length },
      body,
      answerBytesMax,
      limitMs: fetchMs,
    };
    const answer = await this.#http.send(request).catch((cause: unknown) => {
      const message = `the credentials of S3 cannot be fetched from ${url.host}: ${errorText(cause)}`;
      throw new Fault("unavailable", { message, cause });
    });
    const text = new TextDecoder().decode(answer.body);
    if (answer.status === 200) return text;
    const code = elementOf(text, "Code")?.slice(0, 60) ?? `status ${answer.status}`;
    const message = `${who} at ${url.host} gives no credentials for S3: ${code}`;
    throw new Fault(answer.status >= 500 ? "unavailable" : "permission-denied", { message, facts: { code } });
  }
}

function tokenIn(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new Fault("config", {
      message: `${file}, the token for S3, cannot be read: ${errorText(cause)}`,
      cause,
    });
  }
}

/** Credentials go over plaintext only to this machine. */
function isAgent({ protocol, hostname }: URL): boolean {
  if (protocol === "https:") return true;
  const host = hostname.replace(/^\[|\]$/g, "");
  return (
    protocol === "http:" &&
    (agentHosts.includes(hostname) || (isLoopback(host) && (isIP(host) > 0 || host === "localhost")))
  );
}

function checked(found: Readonly<Record<string, unknown>>): Fetched {
  const {
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: sessionToken,
    Expiration,
  } = found;
  const expiresMs = Date.parse(String(Expiration));
  const isText = (value: unknown): value is string =>
    typeof value === "string" && /^[\x21-\x7e]+$/.test(value);
  if (!isText(accessKeyId) || !isText(secretAccessKey) || !isText(sessionToken) || Number.isNaN(expiresMs))
    throw notCredentials();
  return { accessKeyId, secretAccessKey, sessionToken, expiresMs };
}

const notCredentials = (): Fault =>
  new Fault("unavailable", { message: "the answer to the request for credentials of S3 is not valid" });

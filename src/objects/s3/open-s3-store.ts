/** Opens a bucket. Loaded only if a bucket is used. */
import { AwsV4Signer } from "aws4fetch";
import type { Prng } from "../../lib/prng.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { HttpExchanger } from "./http-exchange.ts";
import { type RetryLimits, type RetryNotice, S3Connection, type Sign } from "./s3-connection.ts";
import { CredentialSource } from "./s3-credentials.ts";
import { type Environment, type S3Flags, settingsOf } from "./s3-settings.ts";
import { S3Store } from "./s3-store.ts";
import { parseBucketUrl } from "./s3-url.ts";
import { UploadMemory, type UploadMemoryOptions } from "./upload-memory.ts";

export interface OpenS3Options {
  readonly flags: S3Flags;
  readonly environment: Environment;
  readonly clock: Clock;
  readonly random: Prng;
  readonly signal?: AbortSignal | undefined;
  readonly limits?: RetryLimits;
  /** Called before each pause after a request that failed and is sent again. */
  readonly onRetry?: ((notice: RetryNotice) => void) | undefined;
  /** Objects of one page of a list. Default 1000, which is also the most. */
  readonly pageMax?: number;
  /** What uploads may hold. */
  readonly uploads?: UploadMemoryOptions | undefined;
}

/** @throws Fault "config" for a URL or a setting that is not valid */
export function openS3Store(url: string, options: OpenS3Options): S3Store {
  const place = parseBucketUrl(url);
  const settings = settingsOf(place, options.flags, options.environment);
  const { clock, random, signal, limits, onRetry } = options;
  const http = new HttpExchanger(clock);
  const connection = new S3Connection({
    settings,
    at: { url, bucket: place.bucket, host: settings.bucket.host },
    credentials: new CredentialSource(options.environment, settings.region, http, clock),
    ...{ sign, http, clock, random, signal, onRetry },
    ...(limits === undefined ? {} : { limits }),
  });
  const memory = new UploadMemory(options.uploads);
  return new S3Store(url.replace(/\/$/, ""), connection, place.prefix, options.pageMax, memory);
}

const sign: Sign = async ({ method, url, headers, datetime, credentials, region }) => {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const signer = new AwsV4Signer({
    ...{ method, url: url.href, headers: { ...headers }, datetime },
    ...{ accessKeyId, secretAccessKey, region, service: "s3" },
    ...(sessionToken === undefined ? {} : { sessionToken }),
  });
  const signed = await signer.sign();
  return Object.fromEntries(signed.headers);
};

/**
 * The address of a place in a bucket, and the URLs of its objects. Pure.
 *
 *   s3://BUCKET[/PREFIX]
 *   with an endpoint      https://ENDPOINT/BUCKET/PREFIX/KEY                       path style
 *   of AWS                https://BUCKET.s3.REGION.amazonaws.com/PREFIX/KEY        virtual host, unless the name has dots
 */
import { Fault } from "../../fault.ts";

export interface BucketPlace {
  readonly bucket: string;
  /** Empty, or with a "/" at its end. */
  readonly prefix: string;
}

const bucketName = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/;
const prefixText = /^(?:[A-Za-z0-9_=-][A-Za-z0-9._=-]*\/)*$/;

/** Returns a URL for messages: without what stands before an "@", and without the query, because both can be secret. */
export const withoutSecrets = (url: string): string =>
  url.replace(/[?#].*$/s, "?***").replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1***@");

export const isBucketUrl = (text: string): boolean => /^s3:/i.test(text);

/** @throws Fault "config" */
export function parseBucketUrl(text: string): BucketPlace {
  const [, bucket = "", path = ""] = /^s3:\/\/([^/]*)\/?(.*)$/.exec(text) ?? [];
  const prefix = path === "" || path.endsWith("/") ? path : `${path}/`;
  if (bucketName.test(bucket) && !bucket.includes("..") && prefix.length <= 500 && prefixText.test(prefix))
    return { bucket, prefix };
  throw new Fault("config", {
    message: `expected s3://BUCKET/PREFIX with letters, digits, ".", "-", "_" and "=", found "${withoutSecrets(text)}"`,
  });
}

/** Returns the URL of the bucket, without a "/" at its end. @throws Fault "config" for an endpoint that is no URL */
export function bucketUrl({ bucket }: BucketPlace, endpoint: string | undefined, region: string): URL {
  if (endpoint === undefined) {
    const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
    const host = `s3.${region}.${domain}`;
    return new URL(bucket.includes(".") ? `https://${host}/${bucket}` : `https://${bucket}.${host}`);
  }
  const base = new URL(checkEndpoint(endpoint));
  return new URL(`${base.origin}${base.pathname.replace(/\/+$/, "")}/${bucket}`);
}

/** Returns the endpoint. @throws Fault "config" if it is no plain URL, without its credentials */
export function checkEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url?.search === "" && url.hash === "" && url.username === "" && url.password === "";
  // A secret with "/" makes the rest of the credentials a part of the path.
  if (isPlain && /^https?:$/.test(url.protocol) && !text.includes("@")) return text;
  throw new Fault("config", {
    message: `the endpoint of S3 must be http://HOST:PORT or https://HOST without credentials, which are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not "${withoutSecrets(text)}"`,
  });
}

/** Returns the URL of an object, or of the bucket for the key "". */
export function objectUrl(bucket: URL, key: string, query: Readonly<Record<string, string>>): URL {
  const url = new URL(bucket);
  url.pathname = `${bucket.pathname.replace(/\/$/, "")}/${key}`;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url;
}

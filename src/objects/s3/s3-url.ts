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

export const isBucketUrl = (text: string): boolean => /^s3:/i.test(text);

/** @throws Fault "config" */
export function parseBucketUrl(text: string): BucketPlace {
  const [, bucket = "", path = ""] = /^s3:\/\/([^/]*)\/?(.*)$/.exec(text) ?? [];
  const prefix = path === "" || path.endsWith("/") ? path : `${path}/`;
  if (bucketName.test(bucket) && !bucket.includes("..") && prefix.length <= 500 && prefixText.test(prefix))
    return { bucket, prefix };
  throw new Fault("config", {
    message: `expected s3://BUCKET/PREFIX with letters, digits, ".", "-", "_" and "=", found "${text}"`,
  });
}

/** Returns the URL of the bucket, without a "/" at its end. @throws Fault "config" for an endpoint that is no URL */
export function bucketUrl({ bucket }: BucketPlace, endpoint: string | undefined, region: string): URL {
  if (endpoint === undefined) {
    const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
    const host = `s3.${region}.${domain}`;
    return new URL(bucket.includes(".") ? `https://${host}/${bucket}` : `https://${bucket}.${host}`);
  }
  const base = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isPlain = base?.search === "" && base.hash === "" && base.username === "" && base.password === "";
  if (base === undefined || !/^https?:$/.test(base.protocol) || !isPlain)
    throw new Fault("config", {
      message: `the endpoint of S3 must be http://HOST:PORT or https://HOST, not "${endpoint}"`,
    });
  return new URL(`${base.origin}${base.pathname.replace(/\/+$/, "")}/${bucket}`);
}

/** Returns the URL of an object, or of the bucket for the key "". */
export function objectUrl(bucket: URL, key: string, query: Readonly<Record<string, string>>): URL {
  const url = new URL(bucket);
  url.pathname = `${bucket.pathname.replace(/\/$/, "")}/${key}`;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url;
}

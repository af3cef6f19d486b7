/** The settings of an S3 client, from flags and the usual variables of AWS. Pure. */
import { Fault } from "../../fault.ts";
import { type BucketPlace, bucketUrl } from "./s3-url.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export const encryptions = ["AES256", "aws:kms", "aws:kms:dsse"] as const;

/** What flags say about all buckets. */
export interface S3Flags {
  /** Default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or that of AWS. */
  readonly endpoint?: string | undefined;
  /** The encryption that the server is asked for. Default: that of the bucket. */
  readonly encryption?: (typeof encryptions)[number] | undefined;
  /** The id of a key of KMS. Default: the bucket's, or that of AWS. */
  readonly encryptionKey?: string | undefined;
}

export interface S3Settings {
  readonly bucket: URL;
  readonly region: string;
  /** Headers of requests that create an object. */
  readonly encryption: Readonly<Record<string, string>>;
}

const value = (environment: Environment, name: string): string | undefined =>
  environment[name]?.trim() || undefined;

/** @throws Fault "config" */
export function settingsOf(place: BucketPlace, flags: S3Flags, environment: Environment): S3Settings {
  const region = value(environment, "AWS_REGION") ?? value(environment, "AWS_DEFAULT_REGION") ?? "us-east-1";
  if (!/^[a-z0-9-]{1,40}$/.test(region))
    throw new Fault("config", { message: `AWS_REGION must be the name of a region, not "${region}"` });
  const endpoint =
    flags.endpoint ?? value(environment, "AWS_ENDPOINT_URL_S3") ?? value(environment, "AWS_ENDPOINT_URL");
  return { bucket: bucketUrl(place, endpoint, region), region, encryption: encryptionHeaders(flags) };
}

function encryptionHeaders({ encryption, encryptionKey }: S3Flags): Record<string, string> {
  if (encryption === undefined && encryptionKey === undefined) return {};
  if (encryption === undefined || (encryption === "AES256" && encryptionKey !== undefined))
    throw new Fault("config", {
      message: "--s3-encryption-key needs --s3-encryption aws:kms or aws:kms:dsse",
    });
  const header = "x-amz-server-side-encryption";
  const key = encryptionKey === undefined ? {} : { [`${header}-aws-kms-key-id`]: encryptionKey };
  return { [header]: encryption, ...key };
}

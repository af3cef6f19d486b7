/** Opens a store of objects by its URL. The client of S3 is loaded only for a bucket. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Fault } from "../fault.ts";
import { DirectoryStore } from "./directory/directory-store.ts";
import type { ObjectStore } from "./object-store.ts";
import type { OpenS3Options } from "./s3/open-s3-store.ts";
import { isBucketUrl, parseBucketUrl, withoutSecrets } from "./s3/s3-url.ts";

/** An absolute path. A "?", "#" or "\" would end the path or change it: in a name they are encoded with a percent sign. */
const fileUrl = /^file:\/\/\/(?![/\s])[^?#\\\p{Cc}]+(?<!\s)$/iu;

const isFileUrl = (text: string): boolean => /^file:/i.test(text);

/** Returns true for `s3://…` and `file://…`; a path without a scheme is no store. */
export const isStoreUrl = (text: string): boolean => isBucketUrl(text) || isFileUrl(text);

/** @throws Fault "config" for what is no URL of a store. A file URL has three slashes and an absolute path. */
export function checkStoreUrl(text: string): string {
  if (isBucketUrl(text)) parseBucketUrl(text);
  else directoryOf(text);
  return text;
}

/** @throws Fault "config" */
export async function openStore(url: string, options: OpenS3Options): Promise<ObjectStore> {
  if (!isBucketUrl(url)) return new DirectoryStore(directoryOf(url), options.clock);
  const { openS3Store } = await import("./s3/open-s3-store.ts");
  return openS3Store(url, options);
}

function directoryOf(url: string): string {
  try {
    if (fileUrl.test(url)) return resolve(fileURLToPath(url));
  } catch {
    // Reported below.
  }
  throw new Fault("config", {
    message: `expected s3://BUCKET/PREFIX or file:///DIRECTORY, found "${withoutSecrets(url)}"`,
  });
}

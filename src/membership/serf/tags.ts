/**
 * Encodes and decodes a member's tags in its Meta: `ff` and a msgpack map of strings. Meta without the `ff` is, as a
 * whole, the value of the tag "role" (very old agents).
 */
import { Fault } from "../../fault.ts";
import { metaBytesMax } from "../codec/messages.ts";
import { MsgpackReader, malformed, utf8 } from "../codec/msgpack-reader.ts";
import { MsgpackWriter } from "../codec/msgpack-writer.ts";

export type Tags = Readonly<Record<string, string>>;

const magic = 0xff;

/** @throws Fault "too-large" if the tags do not fit into 512 bytes */
export function encodeTags(tags: Tags): Buffer {
  const names = Object.keys(tags).sort();
  const writer = new MsgpackWriter().byte(magic).map(names.length);
  for (const name of names) writer.text(name).text(tags[name] as string);
  const meta = writer.finish();
  if (meta.length > metaBytesMax) {
    throw new Fault("too-large", {
      message: "the tags of a member must fit into 512 bytes",
      facts: { foundBytes: meta.length, bytesMax: metaBytesMax },
    });
  }
  return meta;
}

/** @throws Fault "bad-request" if `meta` is malformed */
export function decodeTags(meta: Buffer): Tags {
  if (meta.length === 0) return {};
  if (meta[0] !== magic) return { role: utf8(meta, "Meta") };
  const tags: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of new MsgpackReader(meta, 1).fields().entries()) {
    if (!Buffer.isBuffer(value)) throw malformed("a tag is not text");
    tags[name] = utf8(value, "a tag");
  }
  return { ...tags };
}

/** As decodeTags, but returns no tags for a malformed Meta. Its owner is a member nevertheless. */
export function readTags(meta: Buffer): Tags {
  try {
    return decodeTags(meta);
  } catch (reason) {
    if (!(reason instanceof Fault)) throw reason;
    return {};
  }
}

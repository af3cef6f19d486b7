/** Chooses the media type of a response (RFC 9110 §12.5.1). */

interface Range {
  readonly type: string;
  readonly quality: number;
}

/** Ranges of a header that are considered. */
const rangesMax = 64;

/**
 * Returns the offered type that the client prefers. Of equal ones, the first offer is chosen, and also if the client
 * accepts none of them.
 */
export function preferredType<Type extends string>(
  accept: string | undefined,
  offers: readonly [Type, ...Type[]],
): Type {
  const ranges = (accept ?? "").split(",", rangesMax).map(rangeOf);
  let best = offers[0];
  let bestQuality = 0;
  for (const offer of offers) {
    const quality = qualityOf(offer, ranges);
    if (quality > bestQuality) [best, bestQuality] = [offer, quality];
  }
  return best;
}

/** Returns whether preferredType() chooses this type as the first offer, whatever the others are. */
export function isPreferredToAll(accept: string | undefined, type: string): boolean {
  const ranges = (accept ?? "").split(",", rangesMax).map(rangeOf);
  return (accept ?? "").trim() === "" || qualityOf(type, ranges) === 1;
}

function rangeOf(text: string): Range {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
  const quality = weight === undefined ? 1 : /^[01](\.\d{0,3})?$/.test(weight) ? Number(weight) : 0;
  return { type, quality: Math.min(1, quality) };
}

/** The quality of the most specific range that includes the type; 0 if there is none. */
function qualityOf(type: string, ranges: readonly Range[]): number {
  const group = `${type.slice(0, type.indexOf("/"))}/*`;
  for (const including of [type, group, "*/*"]) {
    const range = ranges.find((each) => each.type === including);
    if (range !== undefined) return range.quality;
  }
  return 0;
}

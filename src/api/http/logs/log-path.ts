/**
 * The name of a log in the path of a request.
 *
 *   path := "/logs/" element ("/" element)*        each element is percent-encoded UTF-8
 *
 * The path is split before it is decoded, and an element is decoded once: `%2F` is a slash of the name.
 */
import { Fault } from "../../../fault.ts";
import { defaultLog, namedLogOf } from "../../../lib/names/log-name.ts";
import { logNameBytesMax } from "../../../log/mod.ts";
import { quoted } from "../exchange/exchange.ts";

export const logsPath = "/logs";
/** Every byte of a name takes at most three characters. */
const encodedCharsMax = 3 * logNameBytesMax;

const reject = (message: string, field = "log"): never => {
  throw new Fault("bad-request", { message, facts: { field } });
};

/** Returns whether a path is that of the list of logs or of a log. */
export const isLogsPath = (path: string): boolean => path === logsPath || path.startsWith(`${logsPath}/`);

/**
 * Returns the name in the path of a log.
 * @throws Fault "bad-request"
 */
export function logNameOf(path: string): string {
  const encoded = path.slice(logsPath.length + 1);
  if (encoded === "")
    return reject("the name of a log is missing after /logs/; the list of logs is at /logs");
  return decodedName(encoded) ?? defaultLog;
}

/**
 * Returns the name that the elements of a path encode; undefined for `default`.
 * @throws Fault "bad-request"
 */
export function decodedName(encoded: string): string | undefined {
  if (encoded.length > encodedCharsMax)
    return reject(`the name of a log has at most ${logNameBytesMax} bytes of UTF-8`);
  return namedLogOf(decodedPath(encoded));
}

/**
 * Returns the text that the elements of a path encode. `what` has the name.
 * @throws Fault "bad-request"
 */
export function decodedPath(encoded: string, what: "log" | "cursor" = "log"): string {
  if (encoded.endsWith("/")) return reject(`the path of a ${what} has no slash at its end`, what);
  const elements = encoded.split("/");
  return elements.map((element) => decoded(element, what)).join("/");
}

function decoded(element: string, what: "log" | "cursor"): string {
  for (let at = 0; at < element.length; at++) {
    const code = element.charCodeAt(at);
    if (code <= 0x20 || code >= 0x7f)
      return reject(`the name of a ${what} in a path is percent-encoded UTF-8`, what);
  }
  try {
    return decodeURIComponent(element);
  } catch {
    const found = quoted(element);
    return reject(
      `the name of the ${what} in the path is not valid percent-encoded UTF-8, found "${found}"`,
      what,
    );
  }
}

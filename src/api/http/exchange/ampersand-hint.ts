/** The hint for a filter whose "&&" is not encoded in a URL: it ends the parameter, and what follows is taken for another. */

/** Returns the end of the message about an unknown parameter: empty if its name cannot be a part of a condition in CEL. */
export const ampersandHint = (name: string): string =>
  /[.<>!|()[\]"']/.test(name) ? ". Within a value, write & as %26" : "";

/** The commands that messages about named logs tell the user. Pure. */

/** A name as one word of a POSIX shell, which no command takes for a flag. */
const argument = (name: string): string =>
  `${name.startsWith("-") ? "-- " : ""}'${name.replaceAll("'", "'\\''")}'`;

export const createCommand = (name: string): string => `tailrace logs create ${argument(name)}`;

/** `flags` stand before a name that begins with a dash. */
export const updateCommand = (name: string, flags?: string): string => {
  if (flags === undefined) return `tailrace logs update ${argument(name)}`;
  const words = [argument(name), flags];
  return `tailrace logs update ${(name.startsWith("-") ? words.reverse() : words).join(" ")}`;
};

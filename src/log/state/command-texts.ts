/** The commands that messages about named logs tell the user. Pure. */

/** Quotes a name as one word of a POSIX shell. */
const word = (name: string): string => `'${name.replaceAll("'", "'\\''")}'`;

export const createCommand = (name: string): string => `tailrace logs create ${word(name)}`;
export const updateCommand = (name: string): string => `tailrace logs update ${word(name)}`;

/**
 * Finds an object key that occurs twice in JSON that was parsed already: JSON.parse would silently take the last,
 * and what a caller meant by two offsets nobody can say. Pure.
 *
 * Never: judges whether the text is JSON.
 */

/** The first key that repeats in one of the objects of `text`, which must be valid JSON. */
export function duplicateKey(text: string): string | undefined {
  /** For each object that is open its keys, for each array undefined. */
  const open: (Set<string> | undefined)[] = [];
  let expectsKey = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x7b: // {
        open.push(new Set());
        expectsKey = true;
        break;
      case 0x5b: // [
        open.push(undefined);
        expectsKey = false;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        expectsKey = false;
        break;
      case 0x2c: // ,
        expectsKey = open.at(-1) !== undefined;
        break;
      case 0x3a: // :
        expectsKey = false;
        break;
      case 0x22: {
        const end = stringEnd(text, at);
        const keys = open.at(-1);
        if (expectsKey && keys !== undefined) {
          const key: string = JSON.parse(text.slice(at, end));
          if (keys.has(key)) return key;
          keys.add(key);
        }
        at = end - 1;
      }
    }
  }
  return undefined;
}

/** Behind the closing quote of the string at `at`. */
function stringEnd(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); ; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text.charCodeAt(quote - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return quote + 1;
  }
}

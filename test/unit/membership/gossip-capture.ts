/** Captured gossip bytes in a readable form, for the codec tests. */

/** Returns the bytes of a form in which text in quotes stands for itself and everything else is hex. */
export function capturedBytes(form: string): Buffer {
  const parts = [...form.matchAll(/"([^"]*)"|([0-9a-f]{2}(?:[0-9a-f]{2})*)/g)];
  return Buffer.concat(
    parts.map(([, text, hex]) =>
      text === undefined ? Buffer.from(hex as string, "hex") : Buffer.from(text),
    ),
  );
}

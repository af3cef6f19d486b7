/**
 * HOST:PORT as people give it to whoever is to call there.
 *
 * Never: resolves a name.
 */

/** Is this an address that can be called, such as 127.0.0.1:8080 or [::1]:8080? */
export function isHostPort(text: string): boolean {
  return /^[^\s/?#@\\]+:\d+$/.test(text) && URL.canParse(`http://${text}`);
}

/** Returns true for HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080. The name is not resolved. */
export function isHostPort(text: string): boolean {
  return /^[^\s/?#@\\]+:\d+$/.test(text) && URL.canParse(`http://${text}`);
}

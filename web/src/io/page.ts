/** The rest of the browser: clipboard, files, address bar, stored choices, visibility. */

/** Copies text; false where the browser refuses. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** Plain HTTP off localhost has no clipboard API. */
function copyBySelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "offscreen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** Offers the text as a file to save. */
export function saveFile(name: string, type: string, parts: readonly string[]): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([...parts], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Puts the state into the address and the history entry, without a new entry. */
export function replaceAddress(query: string, entry: unknown): void {
  try {
    history.replaceState(entry, "", `${location.pathname}${query}`);
  } catch {
    // Browsers limit how often this may be called; the next change will carry the place.
  }
}

/** Tells whether the system asks for the dark scheme, now and whenever that changes. */
export function onDarkScheme(tell: (dark: boolean) => void): void {
  const media = matchMedia("(prefers-color-scheme: dark)");
  tell(media.matches);
  media.addEventListener("change", () => tell(media.matches));
}

export const isVisible = (): boolean => document.visibilityState === "visible";

export type Theme = "system" | "light" | "dark";

export function storedTheme(): Theme {
  try {
    const found = localStorage.getItem("tailrace.theme");
    return found === "light" || found === "dark" ? found : "system";
  } catch {
    return "system";
  }
}

export function storeTheme(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
  try {
    if (theme === "system") localStorage.removeItem("tailrace.theme");
    else localStorage.setItem("tailrace.theme", theme);
  } catch {
    // A private window may refuse storage: the choice then lasts as long as the page.
  }
}

/** A box that scrolls sideways on a narrow screen, and can be reached by the keyboard for it. */
import type { ComponentChildren } from "preact";

export function ScrollBox({ labelledBy, children }: { labelledBy: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must take the focus to be scrolled by keys.
    <section class="scroll" tabIndex={0} aria-labelledby={labelledBy}>
      {children}
    </section>
  );
}

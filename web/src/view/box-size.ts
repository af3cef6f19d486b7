/** The size of a windowed list's box. */
import { useComputed, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect } from "preact/hooks";

const narrowQuery = "(max-width: 640px)";

/**
 * Whether the page is narrow, and how many pixels of the box are for rows. The names of the columns stay at the top of the
 * box with this height; a narrow page does not show them.
 */
export function useBoxSize(box: RefObject<HTMLDivElement | null>, columnsHeight: number) {
  const boxHeight = useSignal(0);
  const narrow = useSignal(matchMedia(narrowQuery).matches);
  const rowsOf = (pixels: number, isNarrow: boolean): number =>
    Math.max(0, pixels - (isNarrow ? 0 : columnsHeight));
  const height = useComputed(() => rowsOf(boxHeight.value, narrow.value));
  useLayoutEffect(() => {
    boxHeight.value = (box.current as HTMLDivElement).clientHeight;
  }, [box, boxHeight]);
  useEffect(() => {
    const media = matchMedia(narrowQuery);
    const changed = (): void => {
      narrow.value = media.matches;
    };
    media.addEventListener("change", changed);
    const observer = new ResizeObserver(([entry]) => {
      boxHeight.value = Math.round(entry?.contentRect.height ?? 0);
    });
    observer.observe(box.current as HTMLDivElement);
    return () => {
      media.removeEventListener("change", changed);
      observer.disconnect();
    };
  }, [box, boxHeight, narrow]);
  /** The height now: `height` follows a change of the box a little later. */
  const measure = (): number => rowsOf((box.current as HTMLDivElement).clientHeight, narrow.peek());
  return { height, narrow, measure };
}

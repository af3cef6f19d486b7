/** The size of a windowed list's box. */
import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

const narrowQuery = "(max-width: 640px)";

/** The height of the box in pixels, and whether the page is narrow. */
export function useBoxSize(box: RefObject<HTMLDivElement | null>) {
  const height = useSignal(0);
  const narrow = useSignal(matchMedia(narrowQuery).matches);
  useEffect(() => {
    const media = matchMedia(narrowQuery);
    const changed = (): void => {
      narrow.value = media.matches;
    };
    media.addEventListener("change", changed);
    const observer = new ResizeObserver(([entry]) => {
      height.value = Math.round(entry?.contentRect.height ?? 0);
    });
    observer.observe(box.current as HTMLDivElement);
    return () => {
      media.removeEventListener("change", changed);
      observer.disconnect();
    };
  }, [box, height, narrow]);
  return { height, narrow };
}

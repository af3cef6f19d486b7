/** A panel beside the list: a title, a button that closes it, and the content. */
import type { ComponentChildren } from "preact";

interface PanelProps {
  readonly label: string;
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

export function Panel({ label, title, onClose, children }: PanelProps) {
  return (
    <aside class="panel" aria-label={label}>
      <div class="panel-head">
        <h2>{title}</h2>
        <button type="button" class="icon" aria-label="Close" onClick={onClose}>
          ✕
        </button>
      </div>
      {children}
    </aside>
  );
}

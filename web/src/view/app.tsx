/** The frame of the page: bar, plots, problems, and the current view. */
import { useEffect } from "preact/hooks";
import { helping, view } from "../state/app.ts";
import { Banners } from "./banners.tsx";
import { Bar } from "./bar.tsx";
import { ClusterView } from "./cluster-view.tsx";
import { Help } from "./help.tsx";
import { onKey } from "./keys.ts";
import { LogsView } from "./logs-view.tsx";
import { SegmentsView } from "./segments-view.tsx";
import { Strip } from "./strip.tsx";
import { TailView } from "./tail-view.tsx";

export function App() {
  useEffect(() => {
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <div class="app">
      <Bar />
      <Strip />
      <Banners />
      <main class="main">
        {view.value === "tail" && <TailView />}
        {view.value === "logs" && <LogsView />}
        {view.value === "cluster" && <ClusterView />}
        {view.value === "segments" && <SegmentsView />}
      </main>
      {helping.value && <Help />}
    </div>
  );
}

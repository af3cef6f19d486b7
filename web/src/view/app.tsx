/** The frame of the page: bar, plots, problems, and the current view. */
import { useEffect } from "preact/hooks";
import { helping, needsLogin, view } from "../state/app.ts";
import { Banners } from "./banners.tsx";
import { Bar } from "./bar.tsx";
import { ClusterView } from "./cluster-view.tsx";
import { Help } from "./help.tsx";
import { onKey } from "./keys.ts";
import { LoginView } from "./login-view.tsx";
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
      {!needsLogin.value && <Strip />}
      {!needsLogin.value && <Banners />}
      <main class="main">{needsLogin.value ? <LoginView /> : <Shown />}</main>
      {helping.value && <Help />}
    </div>
  );
}

function Shown() {
  switch (view.value) {
    case "tail":
      return <TailView />;
    case "logs":
      return <LogsView />;
    case "cluster":
      return <ClusterView />;
    case "segments":
      return <SegmentsView />;
  }
}

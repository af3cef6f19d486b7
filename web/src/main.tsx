/** The page's entry: draws the app and begins. */
import { render } from "preact";
import { begin } from "./state/app.ts";
import { App } from "./view/app.tsx";

begin();
render(<App />, document.getElementById("app") as HTMLElement);

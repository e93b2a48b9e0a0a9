// The portal's page: where it begins.

import { render } from "preact";
import { App } from "./frame/app.tsx";
import "./main.css";

render(<App />, document.body);

// The portal's page: where it begins.

import { render } from "preact";
import "./main.css";

const Portal = () => <h1>Mooring provisioning service</h1>;

render(<Portal />, document.body);

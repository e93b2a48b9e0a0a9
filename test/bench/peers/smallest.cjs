// The smallest registration that Node allows: one HTTPS request with a client certificate, nothing around it.
// Arguments: port, path, CA file, certificate file, key file.

const { readFileSync } = require("node:fs");
const { request } = require("node:https");

const [port, path, ca, cert, key] = process.argv.slice(2);
const options = {
  host: "localhost",
  port,
  path,
  method: "PUT",
  headers: { "content-type": "application/json; charset=utf-8" },
  ca: readFileSync(ca),
  cert: readFileSync(cert),
  key: readFileSync(key),
};
request(options, (answer) => {
  let text = "";
  answer.setEncoding("utf8");
  answer.on("data", (chunk) => {
    text += chunk;
  });
  answer.on("end", () => process.stdout.write(`${JSON.stringify(JSON.parse(text).registrationState)}\n`));
}).end("{}");

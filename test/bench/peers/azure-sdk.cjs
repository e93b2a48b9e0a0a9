// A registration as the documentation of Azure's Node device SDK writes it. Arguments: http or mqtt, port, id scope,
// registration id, CA file, certificate file, key file. The SDK knows no ports and no CA of its own, so the port goes
// in through the public settings of Node, and the local service's CA is all that it has to load.

const { readFileSync } = require("node:fs");
const https = require("node:https");
const { setDefaultCACertificates } = require("node:tls");
const { ProvisioningDeviceClient } = require("azure-iot-provisioning-device");
const { X509Security } = require("azure-iot-security-x509");

const [transportName, port, idScope, registrationId, ca, certFile, keyFile] = process.argv.slice(2);
setDefaultCACertificates([readFileSync(ca, "utf8")]);

const overHttp = transportName === "http";
if (overHttp) https.globalAgent.defaultPort = Number(port);
const host = overHttp ? "localhost" : `localhost:${port}`;
const { [overHttp ? "Http" : "Mqtt"]: Transport } = require(`azure-iot-provisioning-device-${transportName}`);

const security = new X509Security(registrationId, {
  cert: readFileSync(certFile, "utf8"),
  key: readFileSync(keyFile, "utf8"),
});
const client = ProvisioningDeviceClient.create(host, idScope, new Transport(), security);
client.register((error, answer) => {
  if (error) throw error;
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});

import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { parseConnectionString } from "../../src/enrollment/connection-string.ts";
import { thrownBy } from "../support/thrown.ts";

const key = Buffer.from("a key that nobody may see").toString("base64");

describe("a connection string", () => {
  it("is read in any order and case, with line ends around it", () => {
    for (const text of [
      `HostName=my.azure-devices-provisioning.net;SharedAccessKeyName=provisioningserviceowner;SharedAccessKey=${key}`,
      `sharedaccesskey=${key};SHAREDACCESSKEYNAME=provisioningserviceowner;hostname=my.azure-devices-provisioning.net;\n`,
    ]) {
      const connection = parseConnectionString(text);
      expect(connection).toMatchObject({
        host: "my.azure-devices-provisioning.net",
        port: 443,
        keyName: "provisioningserviceowner",
      });
      expect(connection.key.reveal().toString()).toBe("a key that nobody may see");
    }
  });

  it.each([
    ["localhost:8443", "localhost", 8443],
    ["[::1]:8443", "::1", 8443],
    ["[::1]", "::1", 443],
  ])("may name a port: %s", (hostName, host, port) => {
    const text = `HostName=${hostName};SharedAccessKeyName=a;SharedAccessKey=${key}`;
    expect(parseConnectionString(text)).toMatchObject({ host, port });
  });

  it.each([
    ["", "HostName"],
    [`SharedAccessKeyName=a;SharedAccessKey=${key}`, "HostName"],
    [`HostName=https://x;SharedAccessKeyName=a;SharedAccessKey=${key}`, "HostName"],
    [`HostName=x;SharedAccessKey=${key}`, "SharedAccessKeyName"],
    ["HostName=x;SharedAccessKeyName=a", "SharedAccessKey"],
    ["HostName=x;SharedAccessKeyName=a;SharedAccessKey=?", "SharedAccessKey"],
  ])("is refused by naming what is wrong, and without the key: %j", async (text, named) => {
    const error = await thrownBy(() => parseConnectionString(text));
    expect(error.code).toBe("ERR_CONNECTION_STRING");
    expect(error.message).toContain(named);
    expect(inspect(error)).not.toContain(key);
  });
});

// Configurations as people really write them: all their problems at once, each with its place, and no stack trace.

import { writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createGateway, type Gateway } from "../support/gateway.ts";
import { mooring, refuse, succeed } from "../support/mooring.ts";

let gateway: Gateway;

beforeEach(() => {
  gateway = createGateway();
});
afterEach(() => gateway[Symbol.dispose]());

const commands = ["config check", "provision", "reprovision", "status", "identity show"];

describe("a configuration", () => {
  it.each(commands)("that is missing is named by `%s`", async (command) => {
    const error = await refuse(gateway.run(command), "ERR_CONFIG_NOT_FOUND");
    expect(error["message"]).toContain(gateway.configFile);
    expect(error["hint"]).toContain("mooring config example");
  });

  it.each(commands)("with several problems is told all of them by `%s`", async (command) => {
    writeFileSync(
      gateway.configFile,
      `[provisioning]\nid_scope = "nonsense"\ntransport = "carrier-pigeon"\nendpoind = "x"\n[provisioning.ports]\nmqtt = 99999\n[identity]\nsource = "x509"\n[outputs]\n`,
    );
    const { problems } = await refuse(gateway.run(command), "ERR_CONFIG_INVALID");
    const said = (problems as string[]).join("\n");
    for (const place of ["id_scope", "transport", "endpoind", "ports.mqtt", "identity.x509", "outputs"]) {
      expect(said).toContain(place);
    }
    expect(problems).toSatisfy((all: string[]) => all.every((one) => one.startsWith(gateway.configFile)));
  });

  it.each([
    ["not TOML", "[provisioning\nid_scope = "],
    ["binary", "\u0000\u0001\u0002\uFFFD\u0000"],
    ["empty", ""],
    ["deeply nested", `a = ${"[".repeat(5000)}${"]".repeat(5000)}`],
    ["hostile to prototypes", '["__proto__"]\nid_scope = "0ne00000000"\n[constructor]\nprototype = 1\n'],
  ])("that is %s is refused in words", async (_what, content) => {
    writeFileSync(gateway.configFile, content);
    const { message } = await refuse(gateway.run("config check"), "ERR_CONFIG_INVALID");
    expect(message).toContain(gateway.configFile);
  });

  it("that is a directory is refused in words", async () => {
    const run = await mooring(["config", "check", "--config", gateway.directory, "--json"]);
    expect(run.code).toBe(78);
    expect(run.json["error"]).toMatchObject({ message: expect.stringContaining(gateway.directory) });
  });

  it("that `config example` prints is right as it is", async () => {
    const { code, stdout } = await mooring(["config", "example"]);
    expect(code).toBe(0);
    writeFileSync(gateway.configFile, stdout);
    expect(await succeed(gateway.run("config check"))).toMatchObject({ ok: true });
  });
});

describe("the command line", () => {
  it.each([
    [["frobnicate"]],
    [["provision", "--frobnicate"]],
    [["enrollment", "create"]],
    [["service", "run"]],
  ])("%j is a usage error", async (args) => {
    expect(await mooring(args)).toMatchObject({
      stdout: "",
      stderr: expect.stringMatching(/^mooring: ERR_USAGE: /),
    });
    await refuse(mooring([...args, "--json"]), "ERR_USAGE");
  });

  it("shows a stack only when it is asked to", async () => {
    const args = ["provision", "--config", gateway.configFile];
    expect((await mooring(args)).stderr).not.toMatch(/^\s+at .+[:(]/m);
    expect((await mooring([...args, "--verbose"])).stderr).toMatch(/^\s+at .+[:(]/m);
  });
});

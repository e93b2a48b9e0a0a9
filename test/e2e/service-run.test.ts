import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { finished } from "../support/children.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const program = join(import.meta.dirname, "../../dist/main.js");

let directory: string;

beforeEach(() => {
  directory = temporaryDirectory();
});

const command = (...options: string[]): string[] => [process.execPath, program, "service", "run", ...options];
const anyPorts = ["--https-port", "0", "--mqtt-port", "0"];

interface Running {
  child: ChildProcess;
  line: () => Promise<string>;
  ended: Promise<[number | null, NodeJS.Signals | null]>;
}

/** `mooring service run` in `directory`. */
function run(...options: string[]): Running {
  const [node = "", ...args] = command(...options);
  const child = spawn(node, args, { cwd: directory, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    line: async () => (await lines.next()).value ?? "",
    ended: once(child, "exit") as Running["ended"],
  };
}

describe("mooring service run", () => {
  it("says first where it is, then what happens, and stops at once when told", async () => {
    const { child, line, ended } = run("--data", "dps", ...anyPorts, "--json");
    const ready = JSON.parse(await line());
    expect(ready).toEqual({
      event: "service.ready",
      idScope: expect.stringMatching(/^0ne[0-9A-F]{8}$/),
      httpsPort: expect.any(Number),
      mqttPort: expect.any(Number),
      caFile: join(directory, "dps", "ca.pem"),
      connectionString: expect.stringMatching(
        new RegExp(
          `^HostName=localhost:${ready.httpsPort};SharedAccessKeyName=provisioningserviceowner;SharedAccessKey=`,
        ),
      ),
      portal: expect.stringMatching(
        new RegExp(`^https://localhost:${ready.httpsPort}/portal/#token=[\\w-]{43}$`),
      ),
    });

    const path = `/${ready.idScope}/registrations/stranger/register?api-version=2021-06-01`;
    const asked = request({
      host: "localhost",
      port: ready.httpsPort,
      ca: readFileSync(ready.caFile),
      method: "PUT",
      path,
    });
    asked.end("{}");
    const [response] = await once(asked, "response");
    response.resume();
    expect(response.statusCode).toBe(401);
    expect(JSON.parse(await line())).toMatchObject({
      event: "device.refused",
      registrationId: "stranger",
      transport: "https",
      code: 401002,
      requestId: response.headers["x-ms-request-id"],
    });

    const before = performance.now();
    child.kill("SIGTERM");
    expect(JSON.parse(await line())).toEqual({ event: "service.stopped", signal: "SIGTERM" });
    expect(await ended).toEqual([0, null]);
    expect(performance.now() - before).toBeLessThan(2000);
  });

  it("tells people what to do next and not what the key is, and stops on Ctrl-C", async () => {
    const { child, line, ended } = run("--data", "dps", ...anyPorts);
    let banner = "";
    while (!banner.includes("Ctrl-C")) banner += `${await line()}\n`;
    const connectionString = readFileSync(join(directory, "dps", "connection-string"), "utf8");
    const [, key = ""] = /SharedAccessKey=(.+)\n/.exec(connectionString) ?? [];
    expect(key.length).toBeGreaterThan(40);
    expect(banner).not.toContain(key);
    expect(banner).toContain(join(directory, "dps", "connection-string"));
    expect(banner).toMatch(/id_scope = "0ne[0-9A-F]{8}"/);
    child.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
  });

  it("serves on when nobody listens to what it tells any more", async () => {
    const { child, line, ended } = run("--data", "dps", ...anyPorts, "--json");
    const ready = JSON.parse(await line());
    child.stdout?.destroy();
    for (let question = 0; question < 3; question++) {
      const asked = request({
        host: "localhost",
        port: ready.httpsPort,
        ca: readFileSync(ready.caFile),
        method: "PUT",
        path: `/${ready.idScope}/registrations/stranger/register?api-version=2021-06-01`,
        agent: false,
      });
      asked.end("{}");
      const [response] = await once(asked, "response");
      response.resume();
      expect(response.statusCode).toBe(401);
    }
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  });

  it.each([
    { fault: "no data directory", options: [], says: "--data" },
    {
      fault: "a port that is none",
      options: ["--data", "dps", "--https-port", "https"],
      says: "whole number from 0 to 65535",
    },
    {
      fault: "a Retry-After that C's client would ignore",
      options: ["--data", "dps", "--retry-after", "301"],
      says: "whole number from 0 to 300",
    },
    {
      fault: "a CA for webhooks that is none",
      options: ["--data", "dps", "--webhook-ca-file", "/dev/null"],
      says: "no certificate in /dev/null",
    },
    {
      fault: "a hub that is none",
      options: ["--data", "dps", ...anyPorts, "--hub", "a hub"],
      says: '"a hub"',
    },
    {
      fault: "a name that is none",
      options: ["--data", "dps", ...anyPorts, "--hostname", "a b"],
      says: '"a b"',
    },
  ])("exits with 64 on $fault", async ({ options, says }) => {
    const result = await finished(
      command(...options.map((option) => (option === "dps" ? join(directory, "dps") : option))),
    );
    expect(result).toMatchObject({ code: 64, stdout: "" });
    expect(result.stderr).toContain(says);
  });

  it("is backed up while it runs", async () => {
    const { line } = run("--data", "dps", ...anyPorts, "--json");
    const { idScope } = JSON.parse(await line());
    const [node = "", program = "", service = ""] = command();
    const backup = [node, program, service, "backup", "--data", join(directory, "dps")];
    const file = join(directory, "copy.db");
    const told = await finished([...backup, file, "--json"]);
    expect(told.code).toBe(0);
    expect(JSON.parse(told.stdout)).toMatchObject({ file, idScope, enrollments: 0 });
    expect(await finished([...backup, file])).toMatchObject({ code: 73, stdout: "" });
    const shown = await finished([...backup, join(directory, "second.db")]);
    expect(shown.stdout).toContain("whole and sound");
  });

  it("exits with 69 when another has the directory", async () => {
    const { line } = run("--data", "dps", ...anyPorts, "--json");
    await line();
    const second = await finished(command("--data", join(directory, "dps"), ...anyPorts, "--json"));
    expect(second.code).toBe(69);
    expect(JSON.parse(second.stdout)).toMatchObject({ error: { code: "ERR_SERVICE_START" } });
    expect(existsSync(join(directory, "dps", "service.db"))).toBe(true);
  });
});

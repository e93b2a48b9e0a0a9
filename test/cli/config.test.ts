import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { exampleConfig } from "../../src/config/example.ts";
import { type Finished, finished } from "../support/children.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const mooring = (...args: string[]): Promise<Finished> => finished([process.execPath, main, ...args]);

function configFile(toml: string): string {
  const file = join(temporaryDirectory(), "config.toml");
  writeFileSync(file, toml);
  return file;
}

describe("mooring config", () => {
  it("prints an example that it finds right itself", async () => {
    const example = await mooring("config", "example");
    expect(example).toMatchObject({ code: 0, stdout: exampleConfig, stderr: "" });
    const file = configFile(example.stdout);
    expect(await mooring("config", "check", "--config", file)).toMatchObject({
      code: 0,
      stdout: `${file} is right.\n`,
      stderr: "",
    });
    const json = await mooring("config", "check", "--json", "--config", file);
    expect(JSON.parse(json.stdout)).toEqual({ file, ok: true });
  });

  it("tells every problem, and exits with 78", async () => {
    const file = configFile(`[provisioning]\nid_scope = 3\nproxy = "user:hunter2@proxy"\n[stat]\n`);
    const people = await mooring("config", "check", "--config", file);
    expect(people).toMatchObject({ code: 78, stdout: "" });
    expect(people.stderr.match(/^ {2}- .*$/gm)).toHaveLength(3);
    const json = await mooring("config", "check", "--json", "--config", file);
    const { error } = JSON.parse(json.stdout);
    expect(error).toMatchObject({ code: "ERR_CONFIG_INVALID", exitCode: 78 });
    expect(error.problems).toHaveLength(3);
    expect(people.stderr + json.stdout + json.stderr).not.toContain("hunter2");
  });

  it("reads the templates of the outputs too", async () => {
    const template = configFile("{{ assigned_hub }} {{ assigned_hup }}");
    const output = (path: string): string =>
      `[provisioning]\nid_scope = "0ne0012ABCD"\n[[outputs]]\npath = "/a"\nformat = "template"\ntemplate = "${path}"\n`;
    const wrong = await mooring("config", "check", "--config", configFile(output(template)));
    expect(wrong.code).toBe(78);
    expect(wrong.stderr).toContain("outputs[0].template");
    expect(wrong.stderr).toContain("there is no {{ assigned_hup }}");
    const missing = await mooring("config", "check", "--config", configFile(output("/no/such/template")));
    expect(missing.code).toBe(78);
    expect(missing.stderr).toContain("/no/such/template cannot be read");
  });

  it("reads the CAs and the payload too, and tells what is wrong with either", async () => {
    const [notJson, noPem] = [configFile("{"), configFile("no PEM")];
    const check = (caFile: string, payloadFile: string): Promise<Finished> =>
      mooring(
        ...["config", "check", "--json", "--config"],
        configFile(
          `[provisioning]\nid_scope = "0ne0012ABCD"\nca_file = "${caFile}"\npayload_file = "${payloadFile}"\n`,
        ),
      );
    const problems = async (...files: [string, string]): Promise<string[]> => {
      const { code, stdout } = await check(...files);
      expect(code).toBe(78);
      return JSON.parse(stdout).error.problems;
    };
    expect(await problems(noPem, notJson)).toEqual([
      expect.stringContaining(`ca_file ${noPem} holds no PEM certificate`),
      expect.stringContaining(`payload_file ${notJson} is not JSON`),
    ]);
    expect(await problems("/no/such/ca.pem", "/no/such/payload.json")).toEqual([
      expect.stringMatching(/ca_file \/no\/such\/ca\.pem: ENOENT/),
      expect.stringMatching(/payload_file \/no\/such\/payload\.json: ENOENT/),
    ]);
  });

  it("says how to get a configuration where there is none", async () => {
    const missing = await mooring("config", "check", "--config", "/no/such/config.toml");
    expect(missing.code).toBe(78);
    expect(missing.stderr).toContain("there is no configuration at /no/such/config.toml");
    expect(missing.stderr).toContain("mooring config example");
  });
});

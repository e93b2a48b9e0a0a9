import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  renderEnv,
  renderJson,
  renderTemplate,
  renderToml,
  templateProblems,
} from "../../src/assignment/formats.ts";
import { anAssignment } from "../support/assignments.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

/** What a shell has in a variable after reading an environment file. */
function sourcedBy(shell: string, content: string, name: string): string {
  const file = join(temporaryDirectory(), "hub.env");
  writeFileSync(file, content);
  const script = `set -eu; . "$1"; printf '%s' "$${name}"`;
  return execFileSync(shell, ["-c", script, "sh", file], { encoding: "utf8", cwd: "/" });
}

/**
 * What systemd has in it, by the states of its parser (src/basic/env-file.c): in double quotes a backslash goes before
 * \ " $ ` and nothing else, and all other characters stand for themselves.
 */
function parsedBySystemd(content: string, name: string): string | undefined {
  const match = new RegExp(`^${name}="((?:\\\\[\\\\"$\`]|[^\\\\"])*)"$`, "m").exec(content);
  return match?.[1]?.replace(/\\([\\"$`])/g, "$1");
}

describe("an environment file", () => {
  it("has the documented names", () => {
    const content = renderEnv(
      anAssignment({ hubKey: { handle: 0x81000100, name: "000b" }, payload: { a: 1 } }),
    );
    expect(content.split("\n").slice(1, -1)).toEqual([
      'IOTHUB_HOSTNAME="contoso.azure-devices.net"',
      'IOTHUB_DEVICE_ID="gw-0001"',
      'IOTHUB_KEY_HANDLE="0x81000100"',
      'IOTHUB_KEY_NAME="000b"',
      'DPS_REGISTRATION_ID="gw-0001"',
      'DPS_ID_SCOPE="0ne0012ABCD"',
      'DPS_ENDPOINT="global.azure-devices-provisioning.net"',
      'DPS_ATTESTATION="x509"',
      'DPS_PAYLOAD="{\\"a\\":1}"',
    ]);
  });

  it("is the same after a registration that changes nothing, and another with another key in the TPM", () => {
    const hubKey = { handle: 0x81000100, name: "000b01" };
    const content = renderEnv(anAssignment({ hubKey }));
    const again = {
      transport: "https",
      substatus: "deviceDataMigrated",
      assignedAt: "2026-02-02T00:00:00Z",
    } as const;
    expect(renderEnv(anAssignment({ hubKey, ...again, operationId: "5.abc", etag: "x" }))).toBe(content);
    expect(renderEnv(anAssignment({ hubKey: { ...hubKey, name: "000b02" } }))).not.toBe(content);
    expect(renderEnv(anAssignment({ hubKey, payload: {} }))).not.toBe(content);
    expect(renderToml(anAssignment({ hubKey, ...again }))).not.toBe(renderToml(anAssignment({ hubKey }))); // it tells all
  });

  const hostile = [
    "plain",
    "two words",
    "$(touch /tmp/pwned)",
    "`id`",
    "$HOME $1",
    `it's "quoted"`,
    "back\\slash\\",
    "\\n \\$ \\\\",
    "#not a comment",
    "a=b;c&d|e<f>g(h)",
    "tab\tand\nnewline",
    " leading and trailing ",
    "!history",
    "*?[x]~",
    "Zürich ☃ 😀",
    "",
  ];
  it.each(hostile)("gives a shell and systemd %j as it is", (deviceId) => {
    const content = renderEnv(anAssignment({ deviceId }));
    for (const shell of ["sh", "bash"]) expect(sourcedBy(shell, content, "IOTHUB_DEVICE_ID")).toBe(deviceId);
    expect(parsedBySystemd(content, "IOTHUB_DEVICE_ID")).toBe(deviceId);
  });

  it("carries a payload of any characters as JSON", () => {
    const text = "'\"\\$`\n\u0000\u001b\u007f\u0085\ufdd0\uffff\u{1fffe}\u{1f600}";
    const payload = { text, deep: [null, { a: "$(id)" }] };
    const content = renderEnv(anAssignment({ payload }));
    expect(JSON.parse(sourcedBy("sh", content, "DPS_PAYLOAD"))).toEqual(payload);
    expect(content).not.toMatch(/\p{Noncharacter_Code_Point}/u);
  });

  it("leaves out a payload that no program could be given", () => {
    const withPayload = (bytes: number): string => renderEnv(anAssignment({ payload: "x".repeat(bytes) }));
    const most = (128 << 10) - "DPS_PAYLOAD=".length - 1;
    expect(withPayload(most)).toContain("DPS_PAYLOAD");
    expect(withPayload(most + 1)).toBe(renderEnv(anAssignment()));
  });

  it.each(["\0", "\r", "\u001b[2J", "\u007f", "\ufdd0", "\u{10ffff}"])(
    "is not written with %j, for which systemd drops a line, or refuses the file",
    async (deviceId) => {
      expect((await thrownBy(() => renderEnv(anAssignment({ deviceId })))).code).toBe("ERR_OUTPUT");
    },
  );
});

describe("JSON", () => {
  it("has the assignment without what only Mooring needs", () => {
    const payload = { a: [null] };
    expect(JSON.parse(renderJson(anAssignment({ payload })))).toEqual({
      assignedHub: "contoso.azure-devices.net",
      deviceId: "gw-0001",
      registrationId: "gw-0001",
      idScope: "0ne0012ABCD",
      endpoint: "global.azure-devices-provisioning.net",
      attestation: "x509",
      transport: "mqtt",
      substatus: "initialAssignment",
      assignedAt: "2026-01-02T03:04:05.000Z",
      payload,
    });
  });
});

describe("TOML", () => {
  it("is read by Python's parser, hostile values and all", () => {
    const payload = { 'a "key"': [1, 2.5, true, "x\n\u007f'''"], deep: { nothing: null, text: '"""' } };
    const content = renderToml(anAssignment({ deviceId: 'a"b\\c\n', payload }));
    const program = "import json,sys,tomllib; print(json.dumps(tomllib.loads(sys.stdin.read())))";
    const parsed = JSON.parse(execFileSync("python3", ["-c", program], { input: content, encoding: "utf8" }));
    expect(parsed).toMatchObject({
      assigned_hub: "contoso.azure-devices.net",
      device_id: 'a"b\\c\n',
      payload: { 'a "key"': [1, 2.5, true, "x\n\u007f'''"], deep: { text: '"""' } },
    });
    expect(parsed).not.toHaveProperty("hub_key_handle");
  });
});

describe("a template", () => {
  const assignment = anAssignment({ payload: { site: { line: 4, name: "A" }, tags: ["x"] } });

  it("is filled with fields and members of the payload", () => {
    const template =
      "hub={{assigned_hub}} id={{ device_id }} line={{ payload.site.line }} all={{ payload }} key={{ hub_key_handle }}.";
    expect(renderTemplate(template, assignment)).toBe(
      'hub=contoso.azure-devices.net id=gw-0001 line=4 all={"site":{"line":4,"name":"A"},"tags":["x"]} key=.',
    );
  });

  it("inserts values as they are, replacement patterns included", () => {
    expect(renderTemplate("<{{ device_id }}>", anAssignment({ deviceId: "$& $1 {{ endpoint }}" }))).toBe(
      "<$& $1 {{ endpoint }}>",
    );
  });

  it.each([
    "{{ hub }}",
    "{{}}",
    "{{ deviceId }}",
    "{{ payload. }}",
    "{{ constructor }}",
    "{{ device_id.x }}",
    "{{ a b }}",
  ])("with %s is refused, and says what there is", async (template) => {
    expect(templateProblems(template)).toEqual([
      expect.stringContaining("there are assigned_hub, device_id"),
    ]);
    expect((await thrownBy(() => renderTemplate(template, assignment))).code).toBe("ERR_OUTPUT");
  });

  it.each([
    "{{ payload.missing }}",
    "{{ payload.site.line.x }}",
    "{{ payload.constructor }}",
    "{{ payload.tags.length }}",
  ])("with %s fails when the payload has no such member", async (template) => {
    expect(templateProblems(template)).toEqual([]);
    expect((await thrownBy(() => renderTemplate(template, assignment))).code).toBe("ERR_OUTPUT");
  });
});

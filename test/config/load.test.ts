import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { exampleConfig } from "../../src/config/example.ts";
import { loadConfig } from "../../src/config/load.ts";
import { MooringError } from "../../src/errors.ts";
import { registrationIdProblem } from "../../src/identity/registration-id.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

const scope = `[provisioning]\nid_scope = "0ne0012ABCD"\n`;

/** Writes config.toml, and drop-ins by name, into a directory of the test's own. */
function written(toml: string, dropIns: Record<string, string> = {}): { directory: string; file: string } {
  const directory = temporaryDirectory();
  const file = join(directory, "config.toml");
  writeFileSync(file, toml);
  if (Object.keys(dropIns).length > 0) mkdirSync(join(directory, "config.d"));
  for (const [name, content] of Object.entries(dropIns))
    writeFileSync(join(directory, "config.d", name), content);
  return { directory, file };
}

const load = (toml: string, dropIns?: Record<string, string>) => loadConfig(written(toml, dropIns).file);

/** The problems of a configuration, without the file's name in front. */
async function problemsOf(toml: string, dropIns?: Record<string, string>): Promise<string[]> {
  const { directory, file } = written(toml, dropIns);
  const error = await thrownBy(() => loadConfig(file));
  expect(error.code).toBe("ERR_CONFIG_INVALID");
  return (error.details.problems ?? []).map((problem) => problem.replace(`${directory}/`, ""));
}

const rootKeyHandles = { endorsement: 0x81010001, storage: 0x81000001 };

describe("loadConfig", () => {
  it("needs nothing but the id scope", () => {
    expect(load(scope)).toEqual({
      provisioning: {
        endpoint: "global.azure-devices-provisioning.net",
        idScope: "0ne0012ABCD",
        transport: "auto",
        ports: { https: 443, mqtt: 8883, mqttWs: 443 },
        deadlineMs: 120_000,
      },
      identity: {
        source: "auto",
        tpm: {
          tcti: "device:/dev/tpmrm0",
          hubKeyHandle: 0x81000100,
          rootKeyHandles,
          template: "zeros",
          timeoutMs: 30_000,
        },
      },
      state: { directory: "/var/lib/mooring" },
      outputs: [{ path: "/var/lib/mooring/hub.env", format: "env", mode: 0o640 }],
      reprovision: { onChange: "auto", onDisenrolled: "keep", splayMs: 900_000, firstBootSplayMs: 0 },
      daemon: { clockWaitMs: 300_000, controlSocket: "/run/mooring/control.sock" },
    });
  });

  it("reads every key there is", () => {
    const config = load(`
      [provisioning]
      endpoint = "dps.example"
      id_scope = "0ne0012ABCD"
      transport = "mqtt-ws"
      ca_file = "/ca.pem"
      proxy = "http://user:secret@proxy.example:3128"
      payload = { line = 4, since = 2026-01-02T03:04:05Z }
      deadline = "1min 30s"
      ports = { https = 1, mqtt = 2, mqtt_ws = 3 }
      [identity]
      source = "x509"
      registration_id = "gw-0001"
      tpm = { tcti = "swtpm:path=/s", hub_key_handle = 0x81000200, endorsement_key_handle = 0x81010002, storage_root_key_handle = 0x81000002, template = "empty", owner_auth_file = "/o", endorsement_auth_file = "/e", timeout = "2min" }
      x509 = { certificate = "/c.pem", private_key = "/k.pem", password_file = "/p" }
      symmetric_key = { group_key_file = "/g" }
      [state]
      directory = "/data/mooring"
      [reprovision]
      every = "30d 12h"
      on_change = "ask"
      on_disenrolled = "withdraw"
      splay = 3600
      first_boot_splay = "5min"
      [daemon]
      idle_exit = "2min"
      clock_wait = "0s"
      control_socket = "/run/gateway/mooring.sock"
      control_group = "gateway"
      [[outputs]]
      path = "/run/gateway/hub.conf"
      format = "template"
      template = "/etc/hub.in"
      mode = "0600"
      owner = "root"
      group = "0"
      on_change = ["systemctl", "try-restart", "gateway.service"]
    `);
    expect(config).toEqual({
      provisioning: {
        endpoint: "dps.example",
        idScope: "0ne0012ABCD",
        transport: "mqtt-ws",
        caFile: "/ca.pem",
        proxy: "http://user:secret@proxy.example:3128",
        payload: { line: 4, since: "2026-01-02T03:04:05.000Z" },
        deadlineMs: 90_000,
        ports: { https: 1, mqtt: 2, mqttWs: 3 },
      },
      identity: {
        source: "x509",
        registrationId: "gw-0001",
        tpm: {
          tcti: "swtpm:path=/s",
          hubKeyHandle: 0x81000200,
          rootKeyHandles: { endorsement: 0x81010002, storage: 0x81000002 },
          template: "empty",
          timeoutMs: 120_000,
          ownerAuthFile: "/o",
          endorsementAuthFile: "/e",
        },
        x509: { certificate: "/c.pem", privateKey: "/k.pem", passwordFile: "/p" },
        symmetricKey: { groupKeyFile: "/g" },
      },
      state: { directory: "/data/mooring" },
      outputs: [
        {
          path: "/run/gateway/hub.conf",
          format: "template",
          template: "/etc/hub.in",
          mode: 0o600,
          owner: "root",
          group: "0",
          onChange: ["systemctl", "try-restart", "gateway.service"],
        },
      ],
      reprovision: {
        everyMs: 2_635_200_000,
        onChange: "ask",
        onDisenrolled: "withdraw",
        splayMs: 3_600_000,
        firstBootSplayMs: 300_000,
      },
      daemon: {
        idleExitMs: 120_000,
        clockWaitMs: 0,
        controlSocket: "/run/gateway/mooring.sock",
        controlGroup: "gateway",
      },
    });
  });

  it("merges drop-ins in the order of their names: tables key by key, lists whole", () => {
    const config = load(
      `${scope}transport = "https"\nports = { https = 1 }\n[[outputs]]\npath = "/a"\n[[outputs]]\npath = "/b"\n`,
      {
        "20-b.toml": `[provisioning]\ntransport = "mqtt"\n[[outputs]]\npath = "/c"\n`,
        "10-a.toml": `[provisioning]\ntransport = "mqtt-ws"\nports = { mqtt = 2 }\n`,
        "30.toml.orig": "not = = toml",
        ".hidden.toml": "not = = toml",
      },
    );
    expect(config.provisioning.transport).toBe("mqtt");
    expect(config.provisioning.ports).toEqual({ https: 1, mqtt: 2, mqttWs: 443 });
    expect(config.outputs.map(({ path }) => path)).toEqual(["/c"]);
  });

  it("takes relative paths from the directory of the file", () => {
    const { directory, file } = written(
      `${scope}ca_file = "tls/../ca.pem"\n[identity.x509]\npkcs12 = "device.p12"\n[state]\ndirectory = "state"\n[[outputs]]\npath = "hub.env"\n`,
    );
    const config = loadConfig(file);
    expect(config.provisioning.caFile).toBe(join(directory, "ca.pem"));
    expect(config.identity.x509?.pkcs12).toBe(join(directory, "device.p12"));
    expect(config.state.directory).toBe(join(directory, "state"));
    expect(config.outputs[0]?.path).toBe(join(directory, "hub.env"));
  });

  it("leaves no path relative, whichever key it stands at", () => {
    const schema = readFileSync(new URL("../../src/config/schema.ts", import.meta.url), "utf8");
    const keys = [
      ...schema.matchAll(/\b([a-z_0-9]+): (?:exactOptional|optional)\((?:path|socketPath)\b/g),
    ].map(([, key]) => key);
    const config = JSON.stringify(
      load(`
        [provisioning]
        id_scope = "0ne0012ABCD"
        ca_file = "rel/ca_file"
        proxy_credentials_file = "rel/proxy_credentials_file"
        payload_file = "rel/payload_file"
        [identity.tpm]
        owner_auth_file = "rel/owner_auth_file"
        endorsement_auth_file = "rel/endorsement_auth_file"
        [identity.x509]
        certificate = "rel/certificate"
        pkcs12 = "rel/pkcs12"
        password_file = "rel/password_file"
        [identity]
        registration_id = "a"
        symmetric_key = { key_file = "rel/key_file" }
        [state]
        directory = "rel/directory"
        [daemon]
        control_socket = "rel/control_socket"
        [[outputs]]
        path = "rel/path"
        format = "template"
        template = "rel/template"
      `),
    );
    const other = load(
      `${scope}[identity]\nregistration_id = "a"\nx509 = { certificate = "/c", private_key = "rel/private_key" }\nsymmetric_key = { group_key_file = "rel/group_key_file" }\n`,
    );
    const told = config + JSON.stringify(other);
    expect(keys.length).toBeGreaterThan(10);
    for (const key of keys) expect(told, key).toContain(`/rel/${key}"`);
    expect(told).not.toContain('"rel/');
  });

  it("finds systemd's credentials where the unit has them", () => {
    const toml = `${scope}[identity.x509]\npkcs12 = "/d.p12"\npassword_file = "credential:key-password"\n`;
    expect(load(toml).identity.x509?.passwordFile).toBe("/run/credentials/mooring.service/key-password");
    vi.stubEnv("CREDENTIALS_DIRECTORY", "/run/credentials/other");
    expect(load(toml).identity.x509?.passwordFile).toBe("/run/credentials/other/key-password");
    vi.unstubAllEnvs();
  });

  it("says which file is missing", async () => {
    const file = join(temporaryDirectory(), "config.toml");
    const error = await thrownBy(() => loadConfig(file));
    expect(error.code).toBe("ERR_CONFIG_NOT_FOUND");
    expect(error.message).toContain(file);
  });

  it("does not take a drop-in that leads nowhere for a configuration that is not there", async () => {
    const { directory, file } = written(scope, { "a.toml": "" });
    const dropIn = join(directory, "config.d", "b.toml");
    symlinkSync("/nowhere", dropIn);
    const error = await thrownBy(() => loadConfig(file));
    expect(error).toMatchObject({ code: "ERR_CONFIG_INVALID", details: { path: dropIn } });
    expect(error.hint).not.toContain("config example");
  });

  it("reports all problems at once, each with its file and key path", async () => {
    const problems = await problemsOf(
      `[provisioning]\nid_scop = "x"\ntransport = "mqtt"\nports = { https = 0 }\n[identity]\nsource = "tpm"\n[[outputs]]\nformat = "xml"\n`,
      { "a.toml": `[provisioning]\ndeadline = "5 years"\n` },
    );
    expect(problems.sort()).toEqual([
      'config.d/a.toml: provisioning.deadline: must be a time from 1s to 24h, such as 90 (seconds), "90s" or "2min", not "5 years"',
      'config.toml: outputs[0].format: must be one of "env", "json", "toml", "template", not "xml"',
      "config.toml: outputs[0].path: is required",
      "config.toml: provisioning.id_scop: is not a key of Mooring's; did you mean id_scope?",
      "config.toml: provisioning.id_scope: is required",
      "config.toml: provisioning.ports.https: must be a port from 1 to 65535, not 0",
      'config.toml: provisioning.transport: "mqtt" cannot carry TPM attestation; use "https" or "auto"',
    ]);
  });

  it("names line and column of what is not TOML, in every file", async () => {
    const problems = await problemsOf("a = 1\nb = = 2\n", { "x.toml": "[" });
    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatch(/^config\.toml:2:5: not TOML: /);
    expect(problems[1]).toMatch(/^config\.d\/x\.toml:1:\d+: not TOML: /);
  });

  it.each(["http://user:hunter2@proxy:99999", "http://999.999.999.999:1", "http://[:::::]:1"])(
    "names a proxy that cannot be: %s",
    async (proxy) => {
      expect(await problemsOf(`${scope}proxy = "${proxy}"\n`)).toEqual([
        "config.toml: provisioning.proxy: must be http://[user:password@]host:port, or https://…",
      ]);
    },
  );

  it("never shows a proxy's password", async () => {
    const problems = await problemsOf(`${scope}proxy = "ftp://user:hunter2@proxy"\n`);
    expect(problems).toEqual([
      "config.toml: provisioning.proxy: must be http://[user:password@]host:port, or https://…",
    ]);
  });
});

describe("a single value", () => {
  const refused: [toml: string, problem: string | RegExp][] = [
    [
      `${scope}endpoint = "https://dps.example"`,
      /endpoint: must be a host name or IPv4 address without scheme/,
    ],
    [`${scope}endpoint = "dps.example:443"`, /endpoint: must be a host name/],
    [`${scope}endpoint = ""`, /endpoint: must be a host name/],
    [`[provisioning]\nid_scope = "my-service"`, /id_scope: must be an ID scope as the portal shows it/],
    [`${scope}ports = { mqtt = 65536 }`, /ports\.mqtt: must be a port from 1 to 65535, not 65536/],
    [`${scope}ports = { mqtt = 1.5 }`, /ports\.mqtt: must be a port/],
    [`${scope}ports = { mqtt = "1" }`, /ports\.mqtt: must be a port .* not "1"/],
    [`${scope}deadline = 0`, /deadline: must be a time from 1s to 24h/],
    [`${scope}deadline = "25h"`, /deadline: must be a time/],
    [`${scope}deadline = ""`, /deadline: must be a time/],
    [
      `${scope}[reprovision]\nevery = "30s"`,
      /every: must be a time from 1min to 365d, such as "30d", or "off"/,
    ],
    [`${scope}[reprovision]\nevery = "366d"`, /every: must be a time from 1min to 365d/],
    [`${scope}[reprovision]\nevery = false`, /every: must be a time .* not false/],
    [`${scope}[reprovision]\nsplay = -1`, /splay: must be a time from 0s to 24h/],
    [`${scope}[reprovision]\non_change = "never"`, /on_change: must be one of "auto", "ask"/],
    [
      `${scope}[daemon]\nidle_exit = "0s"`,
      /idle_exit: must be a time from 1s to 24h, such as "2min", or "off"/,
    ],
    [`${scope}[daemon]\nclock_wait = "off"`, /clock_wait: must be a time from 0s to 24h/],
    [
      `${scope}[daemon]\ncontrol_socket = "/${"s".repeat(107)}"`,
      /control_socket: must be a path of at most 107/,
    ],
    [`${scope}[daemon]\ncontrol_group = "a b"`, /control_group: must be the name or number/],
    [`${scope}payload = 3`, /payload: must be a table/],
    [`${scope}ca_file = ""`, /ca_file: must be a path/],
    [`${scope}ca_file = "a\\u0000b"`, /ca_file: must be a path/],
    [`${scope}[identity]\nregistration_id = "gw 1"`, /registration_id: must be 1 to 128 of/],
    [`${scope}[identity]\nregistration_id = "gw \${serial}"`, /registration_id: must be 1 to 128 of/],
    [`${scope}[identity]\nregistration_id = "\${serial"`, /registration_id: must be 1 to 128 of/],
    [
      `${scope}[identity]\nregistration_id = "\${serail}"`,
      /registration_id: there is no fact \$\{serail}; there/,
    ],
    [
      `${scope}payload = { a = ["\${x}"] }`,
      /provisioning\.payload\.a\[0]: there is no fact \$\{x}; there are/,
    ],
    [
      `${scope}[identity]\nsource = "yubikey"`,
      /source: must be one of "auto", "tpm", "x509", "symmetric-key"/,
    ],
    [`${scope}[identity.tpm]\nhub_key_handle = 0x81010001`, /hub_key_handle: must be another handle than/],
    [
      `${scope}[identity.tpm]\nstorage_root_key_handle = 0x81000100`,
      /hub_key_handle: must be another handle than storage_root_key_handle/,
    ],
    [
      `${scope}[identity.tpm]\nhub_key_handle = 0x01000000`,
      /hub_key_handle: must be an owner's persistent handle/,
    ],
    [`${scope}[identity.tpm]\ntcti = "/dev/tpmrm0"`, /tcti: must be a TCTI/],
    [`${scope}[[outputs]]\npath = "/a"\nmode = 640`, /mode: must be permission bits/],
    [`${scope}[[outputs]]\npath = "/a"\nmode = "04755"`, /mode: must be permission bits/],
    [`${scope}[[outputs]]\npath = "/a"\nowner = "a b"`, /owner: must be the name or number/],
    [
      `${scope}[[outputs]]\npath = "/a"\non_change = "reboot"`,
      /on_change: must be a list of program and arguments/,
    ],
    [`${scope}[[outputs]]\npath = "/a"\non_change = []`, /on_change: must be a list of program/],
    [`identity = 1979-05-27\n${scope}`, /identity: must be a table, not a date/],
    [`${scope}[[identity]]\nsource = "tpm"`, /identity: must be a table, not a list/],
    [`outputs = 3\n${scope}`, /outputs: must be a list of tables/],
    [`constructor = 1\n${scope}`, /constructor: is not a key of Mooring's/],
    [`__proto__ = 1\n${scope}`, /__proto__: is not a key of Mooring's/],
    [
      `${scope}[identity]\nid_scope = "x"`,
      /identity\.id_scope: is not a key of Mooring's; it belongs in \[provisioning\]/,
    ],
    [`${scope}on_change = ["x"]`, /on_change: .* it belongs in \[\[outputs\]\]/],
  ];
  it.each(refused)("is refused with its range: %j", async (toml, problem) => {
    const problems = await problemsOf(toml);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
  });

  const accepted = [
    `${scope}deadline = 90`,
    `${scope}deadline = "1h"`,
    `${scope}[reprovision]\nevery = "365d"\nsplay = "0s"`,
    `${scope}[reprovision]\nevery = "off"\n[daemon]\nidle_exit = "off"`,
    `${scope}[daemon]\ncontrol_socket = "/${"s".repeat(106)}"`,
    `${scope}endpoint = "127.0.0.1"`,
    `${scope}endpoint = "localhost"`,
    `${scope}proxy = "http://[::1]:3128"`,
    `[provisioning]\nid_scope = "0cn00000A1B"`,
    `outputs = []\n${scope}`,
    `${scope}payload = { board = "\${product} \${mac:eth0}", price = "$5", brace = "\${" }`,
    `${scope}[identity]\nregistration_id = "gw-\${serial}.\${ek-sha256}"`,
    `${scope}[identity]\nsource = "x509"\nregistration_id = "\${cn}"\nx509 = { pkcs12 = "/p" }`,
  ];
  it.each(accepted)("is accepted: %j", (toml) => {
    expect(() => load(toml)).not.toThrow();
  });

  it.each(["gw", "GW.0:1_a-", "-", "a".repeat(128), "a".repeat(129), "", "gw.", "gw_", "g w", "gé", "gw/1"])(
    "says the same of the registration id %j as the identity room does",
    async (id) => {
      const toml = `${scope}[identity]\nregistration_id = ${JSON.stringify(id)}\n`;
      if (registrationIdProblem(id) === undefined) expect(load(toml).identity.registrationId).toBe(id);
      else expect(await problemsOf(toml)).toHaveLength(1);
    },
  );
});

describe("rules that span several keys", () => {
  const broken: [name: string, toml: string, problem: RegExp][] = [
    [
      "no TPM over MQTT-WS",
      `${scope}transport = "mqtt-ws"\n[identity]\nsource = "tpm"`,
      /"mqtt-ws" cannot carry TPM attestation; use "https"/,
    ],
    [
      "no HTTP proxy for MQTT",
      `${scope}transport = "mqtt"\nproxy = "http://p:1"`,
      /proxy does not carry "mqtt"/,
    ],
    [
      "one set of proxy credentials",
      `${scope}proxy = "http://u:p@p:1"\nproxy_credentials_file = "/c"`,
      /keep one of them/,
    ],
    ["one payload", `${scope}payload = {}\npayload_file = "/p"`, /payload is given too/],
    [
      "X.509 needs files",
      `${scope}[identity]\nsource = "x509"`,
      /needs certificate and private_key, or pkcs12/,
    ],
    ["an empty table of X.509", `${scope}[identity.x509]`, /give certificate and private_key, or pkcs12/],
    [
      "a key without certificate",
      `${scope}[identity.x509]\nprivate_key = "/k"`,
      /private_key needs its certificate/,
    ],
    [
      "a certificate without key",
      `${scope}[identity.x509]\ncertificate = "/c"`,
      /give certificate and private_key, or pkcs12/,
    ],
    [
      "two keys",
      `${scope}[identity.x509]\ncertificate = "/c"\nprivate_key = "/k"\npkcs12 = "/p"`,
      /exactly one of private_key and pkcs12/,
    ],
    [
      "a symmetric key needs a file",
      `${scope}[identity]\nsource = "symmetric-key"`,
      /needs key_file or group_key_file/,
    ],
    [
      "two symmetric keys",
      `${scope}[identity]\nregistration_id = "a"\n[identity.symmetric_key]\nkey_file = "/a"\ngroup_key_file = "/b"`,
      /exactly one of key_file and group_key_file/,
    ],
    [
      "a symmetric key names no device",
      `${scope}[identity.symmetric_key]\ngroup_key_file = "/b"`,
      /registration_id: is required/,
    ],
    [
      "a template output needs its template",
      `${scope}[[outputs]]\npath = "/a"\nformat = "template"`,
      /needs template/,
    ],
    [
      "a template without the format",
      `${scope}[[outputs]]\npath = "/a"\ntemplate = "/t"`,
      /only read with format = "template"/,
    ],
    [
      "the same output twice",
      `${scope}[[outputs]]\npath = "/a/../b"\n[[outputs]]\npath = "/b"`,
      /path of another output/,
    ],
    [
      "an output among the generations",
      `${scope}[[outputs]]\npath = "/var/lib/mooring/generations/x"`,
      /Mooring's own state/,
    ],
    [
      "an output on the lock",
      `${scope}[state]\ndirectory = "/s"\n[[outputs]]\npath = "/s/lock"`,
      /Mooring's own state/,
    ],
    [
      "an output on the state directory",
      `${scope}[state]\ndirectory = "/s"\n[[outputs]]\npath = "/s"`,
      /Mooring's own state/,
    ],
  ];
  it.each(broken)("refuse: %s", async (_name, toml, problem) => {
    const problems = await problemsOf(toml);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
  });
});

describe("the example", () => {
  it("says exactly what the defaults say", () => {
    const defaults = load(`[provisioning]\nid_scope = "0ne00000000"\n`);
    expect(load(exampleConfig)).toEqual(defaults);
  });

  it("is still right with any of its comments taken away", () => {
    const template = exampleConfig.replaceAll(/^#(?=\[)/gm, "");
    const optional = [...template.matchAll(/^#([a-z_0-9]+ = .*)$/gm)].map(([line]) => line);
    expect(optional.length).toBeGreaterThan(10);
    for (const line of optional) {
      const problems = problemsIn(template.replace(line, line.slice(1)));
      expect(
        problems.filter((problem) => /not a key|must be/.test(problem)),
        line,
      ).toEqual([]);
    }
  });

  it("names every key that the schema knows", () => {
    const schema = readFileSync(new URL("../../src/config/schema.ts", import.meta.url), "utf8");
    const keys = [...schema.matchAll(/^\s+([a-z_0-9]+): (?:exactOptional|optional|idScope)/gm)].map(
      ([, key]) => key,
    );
    expect(keys.length).toBeGreaterThan(25);
    for (const key of keys) expect(exampleConfig, key).toMatch(new RegExp(`\\b${key}\\b`));
  });
});

/** Problems of a configuration that may have none. */
function problemsIn(toml: string): readonly string[] {
  try {
    load(toml);
    return [];
  } catch (error) {
    return (error as MooringError).details.problems ?? [];
  }
}

describe("garbage", () => {
  it("ends in a MooringError, however the file is mangled", () => {
    const { file } = written("");
    const random = seeded(42);
    const source = Buffer.from(exampleConfig.replaceAll(/^#(?=[a-z[])/gm, ""));
    let refused = 0;
    for (let round = 0; round < 300; round += 1) {
      const mangled = Buffer.from(source);
      for (let flips = 0; flips < 1 + random(4); flips += 1) mangled[random(mangled.length)] = random(256);
      writeFileSync(file, mangled.subarray(random(8) === 0 ? random(mangled.length) : 0));
      try {
        loadConfig(file);
      } catch (error) {
        expect(error).toBeInstanceOf(MooringError);
        expect((error as MooringError).details.problems?.length).toBeGreaterThan(0);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});

/** Numbers below `limit`, the same ones every time (mulberry32). */
function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

// The shipped units through an agent's life, run by systemd itself.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalService, startService } from "../support/local-service.ts";
import { tpmIdentity } from "../support/pki.ts";
import { noRig, type RigGateway, startRigGateway, underSystemd } from "../support/rig-gateway.ts";

let service: LocalService;
let gateway: RigGateway;

beforeAll(async () => {
  if (noRig !== undefined) return;
  service = await startService("--hub", "hub.example");
  gateway = await startRigGateway(service);
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await service?.[Symbol.asyncDispose]();
});

/** Under load it may take a while. */
const soon = <Value>(probe: () => Value) => expect.poll(probe, { timeout: 20_000 });

const stateOf = async (unit: string): Promise<string> =>
  (await gateway.show(unit, "ActiveState")).ActiveState;

/** Changes with every start of a unit. */
const startOf = async (unit: string): Promise<string> =>
  (await gateway.show(unit, "InvocationID")).InvocationID;

const statusText = async (): Promise<string> => (await gateway.show("mooring", "StatusText")).StatusText;

const resting = (): string => `resting: ${gateway.name} at hub.example`;

const mainPid = async (): Promise<string> => (await gateway.show("mooring", "MainPID")).MainPID;

/** Lines of /proc/PID/FILE, by name. */
async function factsOf(pid: string, file: "status" | "limits"): Promise<Map<string, string>> {
  const lines = (await gateway.sh(`cat /proc/${pid}/${file}`)).split("\n");
  return new Map(
    lines.map((line) => {
      const [name = "", ...values] = line.split(/:\s+|\s{2,}/);
      return [name, values.join(" ").trim()];
    }),
  );
}

const processes = (): Promise<string> => gateway.sh("find /proc -maxdepth 1 -user mooring");

const failed = (): Promise<string> => gateway.sh("systemctl --failed --plain --no-legend");

const swtpmUnit = `[Service]
RuntimeDirectory=swtpm
ExecStart=/usr/bin/swtpm socket --tpm2 --tpmstate dir=/run/swtpm --flags not-need-init,startup-clear \\
  --ctrl type=unixio,path=/run/swtpm/tpm.sock.ctrl,mode=0666 \\
  --server type=unixio,path=/run/swtpm/tpm.sock,mode=0666
`;

describe.skipIf(noRig)(underSystemd, () => {
  it("a gateway that nobody has enrolled is ready, watches, and starts nobody who needs an assignment", async () => {
    await gateway.boot();
    await soon(statusText).toMatch(/^waiting: no assignment yet; .*ERR_NOT_ENROLLED/);
    for (const unit of ["socket", "path", "timer", "service"])
      expect([unit, await stateOf(`mooring.${unit}`)]).toEqual([unit, "active"]);
    expect(await stateOf("mooring-changed.path")).toBe("active");
    expect(await stateOf("mooring-assigned.target")).toBe("inactive");
    expect(await stateOf("gateway")).toBe("inactive");
  });

  it("the first assignment starts who waits for it, with the assignment in its environment", async () => {
    await gateway.enroll();
    await gateway.sh("mooring reprovision --wait");
    await gateway.until("systemctl is-active gateway");
    await gateway.until("journalctl -q -o cat -u gateway | grep -x 'works for hub.example'");
    expect(await stateOf("mooring-assigned.target")).toBe("active");
    await soon(statusText).toBe(resting());
    expect(await failed()).toBe("");
  });

  it("the agent has no privilege, no core dumps, and directories for itself alone", async () => {
    const pid = await mainPid();
    const status = await factsOf(pid, "status");
    const uid = await gateway.sh("id -u mooring");
    expect(status.get("Uid")).toBe(`${uid}\t${uid}\t${uid}\t${uid}`);
    expect(status.get("Umask")).toBe("0077");
    expect(status.get("NoNewPrivs")).toBe("1");
    expect(status.get("Seccomp")).toBe("2");
    for (const set of ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"])
      expect(status.get(set)).toBe("0000000000000000");
    expect((await factsOf("1", "status")).get("CapBnd")).not.toBe("0000000000000000"); // negative control
    expect((await factsOf(pid, "limits")).get("Max core file size")).toMatch(/^0 0\b/);
    const modes = await gateway.sh(
      `stat -c '%a %U %n' /var/lib/mooring /var/cache/mooring /run/mooring /run/mooring/agent /run/mooring/agent/assigned \
        /run/mooring/hub.env`,
    );
    expect(modes.split("\n")).toEqual([
      "711 mooring /var/lib/mooring",
      "750 mooring /var/cache/mooring",
      "755 root /run/mooring",
      "755 mooring /run/mooring/agent",
      "640 mooring /run/mooring/agent/assigned",
      "600 root /run/mooring/hub.env",
    ]);
    expect(await gateway.sh("stat -c '%a %U %G' /run/mooring/control.sock")).toBe("660 mooring mooring");
    expect(await gateway.sh("find /var/lib/mooring /var/cache/mooring ! -user mooring")).toBe("");
    expect(await gateway.sh("find /var/lib/mooring /var/cache/mooring -perm /022 ! -type l")).toBe("");
    expect(await gateway.sh("stat -c %a /var/lib/mooring/hub.env")).toBe("640");
  });

  it("a reload reads the configuration again in the same process, and keeps the old one if that is wrong", async () => {
    await gateway.sh("systemctl stop mooring.path"); // which would have it started anew
    const start = await startOf("mooring");
    const readAgain = "journalctl -q -o cat -u mooring | grep config.read-again";
    await gateway.sh("systemctl reload mooring");
    await gateway.until(readAgain);
    await gateway.until("systemctl is-active mooring");

    gateway.configure("mistake = true");
    await gateway.sh("systemctl reload mooring");
    await soon(statusText).toMatch(/; ERR_CONFIG_INVALID$/);
    expect(await stateOf("mooring")).toBe("active");
    gateway.configure();
    await gateway.sh("systemctl reload mooring");
    await soon(statusText).toBe(resting());
    expect(await startOf("mooring")).toBe(start);
    await gateway.sh("systemctl start mooring.path");
  });

  it("a certificate that was replaced is noticed, used, and interrupts nobody at the same hub", async () => {
    const start = await startOf("mooring");
    const works = await startOf("gateway");
    const published = await gateway.sh("stat -c '%i %z' /var/lib/mooring/hub.env");
    await gateway.renewCertificate();
    await soon(() => startOf("mooring")).not.toBe(start);
    await gateway.until("journalctl -q -o cat -u mooring | grep identity-changed | grep assignment.promoted");
    await soon(statusText).toBe(resting());
    expect(await gateway.sh("stat -c '%i %z' /var/lib/mooring/hub.env")).toBe(published);
    expect(await startOf("gateway")).toBe(works);
    expect(await failed()).toBe("");
  });

  it("a restart keeps the assignment and who works with it, and a stop ends with 0", async () => {
    const start = await startOf("gateway");
    await gateway.sh("systemctl restart mooring");
    await soon(statusText).toBe(resting());
    await gateway.sh("systemctl stop mooring");
    expect(await gateway.show("mooring", "ActiveState", "Result", "ExecMainStatus", "NRestarts")).toEqual({
      ...{ ActiveState: "inactive", Result: "success", ExecMainStatus: "0", NRestarts: "0" },
    });
    expect(await startOf("gateway")).toBe(start);
    expect(await stateOf("gateway")).toBe("active");
  });

  it("another hub restarts who works with the assignment, and nobody who was stopped", async () => {
    await gateway.sh("systemctl start mooring");
    await gateway.enroll("second.example");
    const start = await startOf("gateway");
    await gateway.sh("mooring reprovision --wait");
    await gateway.until("journalctl -q -o cat -u gateway | grep -x 'works for second.example'");
    expect(await startOf("gateway")).not.toBe(start);

    await gateway.sh("systemctl stop gateway");
    await gateway.enroll("hub.example");
    await gateway.sh("mooring reprovision --wait");
    await gateway.followed();
    expect(await stateOf("gateway")).toBe("inactive");
    await gateway.sh("systemctl start gateway");
    await soon(statusText).toBe(resting());
    expect(await failed()).toBe("");
  });

  it("a socket that is made anew is the agent's, too, and another group's where a drop-in says so", async () => {
    await gateway.sh("systemctl stop mooring.path; echo operators:x:12345: >>/etc/group");
    gateway.configure('[daemon]\ncontrol_group = "operators"');
    await gateway.sh("systemctl restart mooring");
    const warned = `journalctl -q -o cat _SYSTEMD_INVOCATION_ID=$(systemctl show mooring -p InvocationID --value) |
      grep control.group-ignored`;
    await gateway.until(warned);
    const asMember = "setpriv --reuid=65534 --regid=12345 --clear-groups mooring status --json";
    await expect(gateway.sh(asMember)).rejects.toThrow("ERR_CONTROL_PERMISSION"); // negative control

    const start = await startOf("mooring");
    gateway.write("/etc/systemd/system/mooring.socket.d/group.conf", "[Socket]\nSocketGroup=operators\n");
    await gateway.sh("systemctl daemon-reload; systemctl restart mooring.socket");
    expect(await startOf("mooring")).not.toBe(start);
    await soon(statusText).toBe(resting());
    expect(JSON.parse(await gateway.sh(asMember))).toMatchObject({ alive: { running: true } });
    expect(await gateway.sh(`${warned} || echo none`)).toBe("none");

    await gateway.sh("rm -r /etc/systemd/system/mooring.socket.d; systemctl daemon-reload");
    gateway.configure();
    await gateway.sh("systemctl restart mooring.socket; systemctl start mooring.path");
    await soon(statusText).toBe(resting());
    expect(await failed()).toBe("");
  });

  it("what root does with nobody to ask is the agent's afterwards", async () => {
    await gateway.sh("systemctl stop mooring.path mooring.timer mooring.socket mooring");
    const foreign = "find /var/lib/mooring ! -user mooring";
    expect(await gateway.sh(`echo >/var/lib/mooring/x; ${foreign}; rm /var/lib/mooring/x`)).not.toBe(""); // negative control
    gateway.configure(`[[outputs]]
path = "/var/lib/mooring/hub.env"
group = "operators"
on_change = ["/bin/sh", "-c", "id -Gn >/var/lib/mooring/groups"]`);
    await gateway.enroll("third.example");
    await gateway.sh("rm -f /var/lib/mooring/lock /var/lib/mooring/attempts.json");
    for (const [command, hub] of [
      ["reprovision --dry-run", "hub.example"],
      ["reprovision", "third.example"],
      ["provision", "third.example"],
      ["rollback", "hub.example"],
    ] as const) {
      await gateway.sh(`mooring ${command}`);
      expect(await gateway.sh(foreign)).toBe("");
      expect(await gateway.sh("cat /var/lib/mooring/hub.env")).toContain(`IOTHUB_HOSTNAME="${hub}"`);
    }
    expect(await gateway.sh("cat /var/lib/mooring/groups")).toBe("mooring tss operators");
    expect(await gateway.sh("stat -c %G /var/lib/mooring/hub.env")).toBe("operators");
    await expect(gateway.sh("mooring run")).rejects.toThrow("systemctl start mooring");

    // Nor does root read what the agent may not, or wait for what it left there.
    await gateway.sh(`echo secret >/etc/secret; chmod 600 /etc/secret; cd /var/lib/mooring
      rm current/assignment.json attempts.json; ln -s /etc/secret current/assignment.json; mkfifo attempts.json
      chown -h mooring:mooring current/assignment.json attempts.json`);
    for (const command of ["status", "reprovision --dry-run", "wait --timeout 2s"])
      await gateway.sh(`timeout 20 mooring ${command} >/said 2>&1 || test $? -lt 100; ! grep secret /said`);
    expect(await gateway.sh(foreign)).toBe("");
    gateway.configure();
    await gateway.enroll("hub.example");
    await gateway.sh("mooring reprovision");
    expect(await gateway.sh(foreign)).toBe("");
    // Another gateway of root's, such as a demonstration, tells the units of this one nothing.
    const said = await gateway.sh("stat -c '%U %i' /run/mooring/agent/assigned");
    await gateway.sh(`(cat /etc/mooring/config.toml; printf '[state]\\ndirectory = "/var/other"\\n') >/etc/other.toml
      mooring reprovision --config /etc/other.toml`);
    expect(await gateway.sh("stat -c '%U %i' /run/mooring/agent/assigned")).toBe(said);
    await gateway.sh("systemctl start mooring.socket mooring.path mooring.timer mooring");
    await soon(statusText).toBe(resting());
    expect(await failed()).toBe("");
  });

  it("with nothing to do it ends, is no failure, leaves no process, and is brought back by a command", async () => {
    await gateway.sh("systemctl stop mooring.path");
    gateway.configure('[daemon]\nidle_exit = "5s"');
    await gateway.sh("systemctl start mooring.path; systemctl restart mooring");
    await gateway.until("test $(systemctl is-active mooring) = inactive");
    expect(await gateway.show("mooring", "Result", "ExecMainStatus")).toEqual({
      ...{ Result: "success", ExecMainStatus: "0" },
    });
    expect(await processes()).toBe("");
    expect(await stateOf("mooring-assigned.target")).toBe("active");

    // At once: the agent leaves again within seconds.
    const asked = await gateway.sh(
      "mooring status --json; find /proc -maxdepth 1 -user mooring -printf 'process\\n'",
    );
    expect(asked).toMatch(/^process$/m); // negative control
    expect(JSON.parse(asked.replace(/^process$/gm, ""))).toMatchObject({
      ...{ alive: { running: true }, usable: { yes: true } },
    });
    await gateway.until("test $(systemctl is-active mooring) = inactive");
    expect(await failed()).toBe("");
    // A boot starts who works with the assignment, and the agent leaves again.
    await gateway.shutDown();
    await gateway.boot();
    await gateway.until("systemctl is-active gateway && test $(systemctl is-active mooring) = inactive");
    expect(await failed()).toBe("");
  });

  it("an agent that hangs is killed and started again, and one that does not is left alone", async () => {
    await gateway.sh("systemctl stop mooring.path");
    gateway.configure();
    gateway.write(
      "/etc/systemd/system/mooring.service.d/test.conf",
      "[Service]\nWatchdogSec=5s\nRestartSec=0\n",
    );
    await gateway.sh("systemctl daemon-reload; systemctl restart mooring");
    const fed = "WatchdogTimestampMonotonic";
    const { [fed]: first } = await gateway.show("mooring", fed);
    await soon(async () => Number((await gateway.show("mooring", fed))[fed])).toBeGreaterThan(
      Number(first) + 4e6,
    );
    expect(await gateway.show("mooring", "NRestarts")).toEqual({ NRestarts: "0" }); // negative control

    await gateway.sh("kill -STOP $(systemctl show mooring -p MainPID --value)");
    await gateway.until("test $(systemctl show mooring -p NRestarts --value) -ge 1");
    await gateway.until("systemctl is-active mooring");
    expect(await gateway.sh("journalctl -q -o cat _PID=1 UNIT=mooring.service")).toContain(
      "Watchdog timeout",
    );
    expect(JSON.parse(await gateway.sh("mooring status --json"))).toMatchObject({ usable: { yes: true } });
  });

  it("a first boot with a TPM takes nobody but the agent, which reaches it out of its sandbox", async () => {
    await using other = await startRigGateway(service);
    other.write("/etc/systemd/system/swtpm.service", swtpmUnit);
    other.configure("", tpmIdentity("swtpm:path=/run/swtpm/tpm.sock"));
    await other.sh("systemctl daemon-reload; systemctl start swtpm");
    await other.until("TPM2TOOLS_TCTI=swtpm:path=/run/swtpm/tpm.sock tpm2_getcap properties-fixed");
    const { registrationId, endorsementKey } = JSON.parse(await other.sh("mooring identity show --json"));
    const record = { registrationId, attestation: { type: "tpm", tpm: { endorsementKey } } };
    await service.enroll(`/enrollments/${registrationId}`, record);
    await other.boot();
    await other.until("systemctl is-active gateway");
    expect(
      await other.sh("TPM2TOOLS_TCTI=swtpm:path=/run/swtpm/tpm.sock tpm2_getcap handles-persistent"),
    ).toContain("0x81000100");
    expect(JSON.parse(await other.sh("mooring status --json"))).toMatchObject({
      usable: { yes: true, assignment: { attestation: "tpm", deviceId: registrationId } },
    });

    // Who works with the key is told that it is another one.
    const start = await other.show("gateway", "InvocationID");
    await other.sh("mooring reprovision --wait");
    await soon(() => other.show("gateway", "InvocationID")).not.toEqual(start);
    await other.until("systemctl is-active gateway");
  });
});

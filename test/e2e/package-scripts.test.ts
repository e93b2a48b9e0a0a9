// The package in the hands of dpkg, under systemd: what its scripts make of a gateway that is configured, upgraded,
// emptied. Where there is no systemd to run, test/boot has the same in a virtual machine.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startService } from "../support/local-service.ts";
import { gatewayUnit, noRig, provisioningOf, underSystemd } from "../support/rig-gateway.ts";
import { type Rig, startRig } from "../support/service-manager-rig.ts";

const directory = mkdtempSync(join(tmpdir(), "mooring-package-"));
let rig: Rig;

beforeAll(async () => {
  if (noRig !== undefined) return;
  rig = await startRig("bare");
  await rig.sh("mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates /var/log; : >/var/lib/dpkg/status");
  execFileSync(
    process.execPath,
    ["scripts/package.mjs", "--as-built", "--uncompressed", "--out", directory],
    {
      stdio: "pipe",
    },
  );
  const [name = ""] = readdirSync(directory);
  rig.write("/var/first.deb", readFileSync(join(directory, name)));
  rig.write("/var/next.deb", nextVersion(join(directory, name)));
});
afterAll(async () => {
  await rig?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

/** Another version, whose default configuration has one more key. */
function nextVersion(packageFile: string): Buffer {
  const [root, file] = [join(directory, "root"), join(directory, "next.deb")];
  execFileSync("dpkg-deb", ["--raw-extract", packageFile, root]);
  const change = (path: string, to: (text: string) => string): void =>
    writeFileSync(join(root, path), to(readFileSync(join(root, path), "utf8")));
  change("DEBIAN/control", (text) => text.replace(/^Version: .*$/m, "$&+next"));
  change("usr/share/mooring/config.toml", (text) => `${text}\n# new = "key"\n`);
  execFileSync("dpkg-deb", ["--root-owner-group", "-Znone", "--build", root, file], { stdio: "ignore" });
  return readFileSync(file);
}

/** As an unattended upgrade: nobody is there to be asked. Debian's own packages are on this machine, if not in its list. */
const dpkg = (words: string): Promise<string> =>
  rig.sh(
    `PATH=/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive dpkg --force-depends ${words} </dev/null 2>&1`,
  );

const config = '[provisioning]\nendpoint = "127.0.0.1"\nid_scope = "0ne00000000"\ndeadline = "1s"\n';
const identity =
  '[identity]\nsource = "symmetric-key"\nregistration_id = "gw"\n[identity.symmetric_key]\nkey_file = "key"\n';
const starts = async (): Promise<number> => {
  const journal = await rig.sh("journalctl --sync; journalctl -q -o cat _PID=1 UNIT=mooring.service");
  return journal.split("\n").filter((line) => line.startsWith("Starting ")).length;
};
const pid = (): Promise<string> => rig.sh("systemctl show mooring -p MainPID --value");
const failed = (): Promise<string> => rig.sh("systemctl --failed --plain --no-legend");
const until = (script: string): Promise<void> => rig.until(script);
const soon = <Value>(probe: () => Value) => expect.poll(probe, { timeout: 20_000 });
const isQuiet = () =>
  until('test -z "$(systemctl list-jobs --no-legend)" -a $(systemctl is-active mooring-reload) = inactive');

/** Until its drop-in is removed, an edit is not told. */
async function slowReload(): Promise<void> {
  rig.write(
    "/etc/systemd/system/mooring-reload.service.d/slow.conf",
    "[Service]\nExecStart=\nExecStart=/usr/bin/sleep 300\n",
  );
  await rig.sh("systemctl daemon-reload");
}

describe.skipIf(noRig)(underSystemd, () => {
  it("an installation says what is missing, fails nothing, and starts the agent when that is there", async () => {
    const said = await dpkg("-i /var/first.deb");
    expect(said).toContain("provisioning.id_scope");
    expect(said).toContain("The agent starts by itself");
    expect(await failed()).toBe("");
    expect(
      await rig.sh(
        "systemctl is-active mooring.socket mooring.path mooring.timer mooring-changed.path | sort -u",
      ),
    ).toBe("active");
    expect(await rig.sh("systemctl is-active mooring || true")).toBe("inactive");
    rig.write("/etc/mooring/key", `${Buffer.alloc(32, 7).toString("base64")}\n`);
    await rig.sh("chgrp mooring /etc/mooring/key; chmod 640 /etc/mooring/key");
    await isQuiet();
    await soon(starts).toBeGreaterThan(0); // over the key, and for nothing
    await isQuiet();
    rig.write("/etc/mooring/config.toml", config + identity);
    await until("systemctl is-active mooring");
  });

  it("every edit of the configuration is noticed, in the file and beside it", async () => {
    for (const edit of [
      "sed -i 's/deadline = .*/deadline = \"2s\"/' /etc/mooring/config.toml",
      "echo '# appended' >>/etc/mooring/config.toml",
      "cp /etc/mooring/config.toml /etc/mooring/new; mv /etc/mooring/new /etc/mooring/config.toml",
      "printf '[daemon]\\nclock_wait = \"1min\"\\n' >/etc/mooring/config.d/50-ours.toml",
      "rm /etc/mooring/config.d/50-ours.toml",
      "touch /etc/mooring/identity/cert.pem",
    ]) {
      await isQuiet();
      const before = await pid();
      await rig.sh(edit);
      await soon(pid).not.toBe(before);
      await until("systemctl is-active mooring");
    }
  });

  it("an upgrade and its return ask nothing, keep the configuration, and restart the agent once", async () => {
    for (const version of ["next", "first"]) {
      await isQuiet();
      const [process, count, configured] = [
        await pid(),
        await starts(),
        await rig.sh("cat /etc/mooring/config.toml"),
      ];
      await dpkg(`-i /var/${version}.deb`);
      expect(await pid()).not.toBe(process);
      // What would notice an edit has had its time.
      await rig.sh("sleep 2");
      expect((await starts()) - count).toBe(1);
      expect(await rig.sh("cat /etc/mooring/config.toml")).toBe(configured);
      expect(await rig.sh("systemctl is-active mooring mooring.path | sort -u")).toBe("active");
      expect(await failed()).toBe("");
    }
  });

  it("an upgrade takes an agent along that is just starting", async () => {
    await isQuiet();
    const dropIn = "/etc/systemd/system/mooring.service.d";
    rig.write(`${dropIn}/slow.conf`, "[Service]\nExecStart=\nExecStart=/usr/bin/sleep 300\n");
    await rig.sh("systemctl daemon-reload; systemctl --no-block restart mooring");
    await until("systemctl is-active mooring | grep activating && pgrep -u mooring -x sleep");
    const before = await pid();
    await rig.sh(`rm -r ${dropIn}; systemctl daemon-reload`);
    await dpkg("-i /var/next.deb");
    expect(await pid()).not.toBe(before);
    await until("systemctl is-active mooring");
    await dpkg("-i /var/first.deb");
    expect(await failed()).toBe("");
  });

  it("an upgrade right after an edit leaves nothing failed", async () => {
    await isQuiet();
    await slowReload();
    await rig.sh("echo '# edited' >>/etc/mooring/config.toml");
    await until("systemctl is-active mooring-reload | grep activating");
    await dpkg("-i /var/next.deb");
    expect(await failed()).toBe("");
    await rig.sh("rm -r /etc/systemd/system/mooring-reload.service.d; systemctl daemon-reload");
    await dpkg("-i /var/first.deb");
  });

  it("an upgrade takes an agent along whose configuration has a mistake by now, and one that is configured elsewhere", async () => {
    await isQuiet();
    await rig.sh(
      "systemctl stop mooring.path; cp /etc/mooring/config.toml /etc/elsewhere.toml; cp /etc/mooring/key /etc/key; chgrp mooring /etc/key",
    );
    rig.write("/etc/mooring/config.toml", "mistake = true\n");
    rig.write(
      "/etc/systemd/system/mooring.service.d/elsewhere.conf",
      "[Service]\nEnvironment=MOORING_CONFIG=/etc/elsewhere.toml\n",
    );
    await rig.sh("systemctl daemon-reload; systemctl restart mooring");
    const before = await pid();
    await dpkg("-i /var/next.deb");
    expect(await pid()).not.toBe(before);
    expect(await rig.sh("systemctl is-active mooring")).toBe("active");

    await rig.sh("rm -r /etc/systemd/system/mooring.service.d; systemctl daemon-reload");
    await dpkg("-i /var/first.deb || true");
    await until("systemctl is-failed mooring"); // and not one whose program is gone
    await isQuiet();
    rig.write("/etc/mooring/config.toml", config + identity);
    await until("systemctl is-active mooring");
    expect(await failed()).toBe("");
  });

  it("who works with the assignment goes on through an upgrade, and is stopped by a removal until there is an agent again", async () => {
    await using service = await startService("--hub", "hub.example");
    const primaryKey = Buffer.alloc(32, 7).toString("base64");
    await service.enroll("/enrollments/gw", {
      registrationId: "gw",
      attestation: { type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey: primaryKey } },
    });
    await isQuiet();
    rig.write("/etc/mooring/plant-ca.pem", readFileSync(service.caFile));
    rig.write("/etc/systemd/system/gateway.service", gatewayUnit());
    await rig.sh("systemctl daemon-reload; systemctl enable gateway");
    await rig.sh("systemctl stop mooring.path");
    rig.write("/etc/mooring/config.toml", `${provisioningOf(service)}\n${identity}`);
    await rig.sh("systemctl restart mooring; mooring reprovision --wait; systemctl start mooring.path");
    await until("systemctl is-active gateway");
    const startOf = (): Promise<string> => rig.sh("systemctl show gateway -p InvocationID --value");

    const start = await startOf();
    await dpkg("-i /var/next.deb");
    await isQuiet();
    expect(await startOf()).toBe(start);
    await dpkg("--remove mooring");
    expect(await rig.sh("systemctl is-active gateway || true")).toBe("inactive");
    await dpkg("-i /var/first.deb");
    await until("systemctl is-active gateway");
    expect(await failed()).toBe("");

    await rig.sh(
      "systemctl disable --now gateway; rm /etc/systemd/system/gateway.service /etc/mooring/plant-ca.pem",
    );
    await isQuiet();
    rig.write("/etc/mooring/config.toml", config + identity);
    await until("systemctl is-active mooring");
  });

  it("an agent that an operator has masked is left alone, and nothing fails over it", async () => {
    await isQuiet();
    await rig.sh("systemctl mask --now mooring.service; echo '# ours' >>/etc/mooring/config.toml");
    await rig.sh("sleep 2");
    await isQuiet();
    expect(await failed()).toBe("");
    expect(await rig.sh("systemctl is-active mooring || true")).toBe("inactive");
    await rig.sh("systemctl unmask mooring.service; systemctl start mooring");
  });

  it("a removal keeps configuration and state, and a purge leaves nothing", async () => {
    await isQuiet();
    // With somebody who still waits for an assignment.
    const wants = "-p Wants=mooring-assigned.target -p After=mooring-assigned.target";
    await rig.sh(`systemctl stop mooring mooring-assigned.target
      rm -rf /var/lib/mooring/* /run/mooring/agent/* /run/mooring/hub.env; systemctl start mooring
      systemd-run --no-block --unit=wants ${wants} sleep infinity`);
    await until("systemctl is-active mooring-wait | grep activating");
    await rig.sh(
      "echo kept >/var/lib/mooring/kept; echo of before | tee /run/mooring/agent/assigned >/run/mooring/hub.env",
    );
    // With an edit that is about to be told, and with a file system of its own for what is kept.
    await slowReload();
    await rig.sh(`echo '# edited' >>/etc/mooring/config.toml
      mv /var/lib/mooring /var/kept; mkdir /var/lib/mooring; mount -t tmpfs tmpfs /var/lib/mooring
      cp -a /var/kept/. /var/lib/mooring`);
    await until("systemctl is-active mooring-reload | grep activating");
    await dpkg("--remove mooring");
    expect(await rig.sh("systemctl is-active mooring-reload || true")).toBe("inactive");
    await rig.sh("rm -r /etc/systemd/system/mooring-reload.service.d");
    // Whoever is installed next announces anew.
    expect(
      await rig.sh("ls -d /run/mooring/agent /run/mooring/hub.env /run/mooring-changed 2>/dev/null || true"),
    ).toBe("");
    expect(await rig.sh("pgrep -u mooring || true")).toBe("");
    expect(await failed()).toBe("");
    expect(await rig.sh("cat /var/lib/mooring/kept; grep -c id_scope /etc/mooring/config.toml")).toBe(
      "kept\n1",
    );
    expect(await rig.sh("systemctl list-units --all --plain --no-legend 'mooring*' --state=active")).toBe("");
    await rig.sh("mv /etc/mooring /var/etc; ln -s /var/etc /etc/mooring"); // a link is gone with what it leads to
    await dpkg("--purge mooring");
    expect(await rig.sh("ls -A /var/lib/mooring /var/etc; test ! -L /etc/mooring; rmdir /var/etc")).toBe(
      "/var/etc:\n\n/var/lib/mooring:",
    );
    await rig.sh("umount /var/lib/mooring; rm -r /var/kept; rmdir /var/lib/mooring");
    const left =
      "find / -xdev -name '*mooring*' ! -path '/proc/*' ! -path '/sys/*' 2>/dev/null; find /usr /etc /var /run -name '*mooring*'; grep mooring /etc/passwd /etc/group || true";
    expect(await rig.sh(left)).toBe("");
  });

  it("files that were only unpacked work as the README has it for other systems", async () => {
    const readme = /^ {2}dpkg-deb [^\n]*\n(.*?)^ {2}```/ms.exec(readFileSync("README.md", "utf8"))?.[1] ?? "";
    expect(readme).toContain("systemctl enable --now mooring.service");
    await rig.sh("dpkg-deb --fsys-tarfile /var/first.deb | tar -x -C / --no-overwrite-dir");
    rig.write("/etc/mooring/config.toml", config + identity);
    rig.write("/etc/mooring/key", `${Buffer.alloc(32, 7).toString("base64")}\n`);
    await rig.sh(readme);
    await until("systemctl is-active mooring");
    // Unpacked once more, as an upgrade is there, it keeps what is configured.
    await rig.sh("dpkg-deb --fsys-tarfile /var/next.deb | tar -x -C / --no-overwrite-dir");
    expect(await rig.sh("cat /etc/mooring/config.toml")).toBe((config + identity).trimEnd());
    expect(await failed()).toBe("");
  });
});

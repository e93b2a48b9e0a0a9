// The package in the hands of dpkg, on a gateway that is at work: a newer one, the older again, none.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { openPlant, type Plant, statusOf, worksAt, worksFor } from "./plant.ts";
import type { Guest } from "./power.ts";

let plant: Plant;
let guest: Guest;
beforeAll(async () => {
  plant = await openPlant("package");
  await plant.enroll();
  const { packageFile } = inject("image");
  plant.gateway.deliver({
    ...plant.files,
    "var/tmp/older.deb": readFileSync(packageFile),
    "var/tmp/newer.deb": nextVersion(packageFile),
  });
  guest = await plant.gateway.boot({ network: plant.network });
  await worksFor(guest);
});
afterAll(() => plant?.[Symbol.asyncDispose]());

const agent = (): Promise<string> => guest.sh("systemctl show mooring -p MainPID --value");

it.each(["newer", "older"])(
  "goes on with its assignment when the %s version is installed",
  async (version) => {
    // An edit restarts the agent, too: that has to be over before.
    const edited = await agent();
    await guest.sh("echo '# ours' >>/etc/mooring/config.toml");
    await guest.until(`test $(systemctl show mooring -p MainPID --value) != ${edited}`);
    await guest.until("systemctl is-active mooring && test $(systemctl is-active mooring-reload) = inactive");
    const [pid, before] = [
      await agent(),
      await guest.sh("cd /var/lib/mooring; readlink current; cat hub.env"),
    ];
    await guest.sh(`dpkg -i /var/tmp/${version}.deb`);

    expect(await guest.sh("cd /var/lib/mooring; readlink current; cat hub.env")).toBe(before);
    expect(await statusOf(guest)).toMatchObject({ usable: { yes: true }, alive: { running: true } });
    expect(await agent()).not.toBe(pid);
    expect(await guest.sh("tail -1 /etc/mooring/config.toml")).toBe("# ours");
    expect(await worksFor(guest)).toBe(worksAt());
    expect(await guest.sh("systemctl --failed --plain --no-legend")).toBe("");
  },
);

it("leaves configuration and state when it is removed, and nothing when it is purged", async () => {
  await guest.sh("dpkg --remove mooring");
  expect(await guest.sh("pgrep -u mooring || true")).toBe("");
  expect(await guest.sh("ls -d /usr/lib/mooring /usr/bin/mooring 2>/dev/null || true")).toBe("");
  expect(await guest.sh("cat /var/lib/mooring/hub.env")).toContain("gw-0001");
  expect(await guest.sh("ls /etc/mooring")).toContain("config.toml");

  await guest.sh("dpkg --purge mooring");
  // The test's own unit is enabled for our target, and dpkg keeps a log.
  const found = await guest.sh(
    "find / -xdev -name '*mooring*' ! -path '/proc/*' ! -path '/tmp/*' ! -path '*.wants' ! -path '/var/tmp/*'; grep mooring /etc/passwd /etc/group || true",
  );
  expect(found).toBe("");
  expect(await guest.sh("systemctl list-units --all --plain --no-legend 'mooring*' --state=loaded")).toBe("");
});

it("works where its files were only unpacked, as the README has it for other systems", async () => {
  await guest.sh("dpkg-deb --fsys-tarfile /var/tmp/older.deb | tar -x -C / --no-overwrite-dir");
  for (const [path, content] of Object.entries(plant.files))
    await guest.sh(`mkdir -p $(dirname /${path}); cat >/${path} <<'END'\n${content}\nEND`);
  await guest.sh(`systemd-sysusers mooring.conf; systemd-tmpfiles --create mooring.conf; systemctl daemon-reload
    test -e /etc/mooring/config.toml || cp /usr/share/mooring/config.toml /etc/mooring/
    systemctl enable --now mooring.service
    systemctl start mooring.socket mooring.path mooring.timer mooring-changed.path`);
  await guest.until("grep -q gw-0001 /var/lib/mooring/hub.env");
  expect(await statusOf(guest)).toMatchObject({ usable: { yes: true }, alive: { running: true } });
  await guest.until("systemctl is-active mooring-assigned.target");
  expect(await guest.sh("systemctl is-active mooring.socket mooring.path mooring.timer | sort -u")).toBe(
    "active",
  );
});

/** The same files under a higher version. */
function nextVersion(packageFile: string): Buffer {
  const directory = mkdtempSync(join(tmpdir(), "mooring-next-"));
  const [root, file] = [join(directory, "root"), join(directory, "next.deb")];
  execFileSync("dpkg-deb", ["--raw-extract", packageFile, root]);
  const control = join(root, "DEBIAN/control");
  writeFileSync(control, readFileSync(control, "utf8").replace(/^Version: .*$/m, "$&+next"));
  execFileSync("dpkg-deb", ["--build", "-Znone", root, file], { stdio: "ignore" });
  const content = readFileSync(file);
  rmSync(directory, { recursive: true });
  return content;
}

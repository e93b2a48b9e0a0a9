// What works with the assignment follows it: it starts when there is one to read, stops when that is withdrawn, and is
// tried again when it had failed over the one before.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type LocalService, startService } from "../support/local-service.ts";
import { noRig, type RigGateway, startRigGateway, underSystemd, watchers } from "../support/rig-gateway.ts";

let service: LocalService;
let gateway: RigGateway;

beforeAll(async () => {
  if (noRig !== undefined) return;
  service = await startService("--hub", "hub.example");
  gateway = await startRigGateway(service);
  // Its runs are counted; nobody else tells them apart from one that goes on.
  gateway.write(
    "/etc/systemd/system/gateway.service.d/count.conf",
    dropIn("ExecStartPre=+/bin/sh -c 'echo >>/starts'"),
  );
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await service?.[Symbol.asyncDispose]();
});

const dropIn = (line: string): string => `[Service]\n${line}\n`;
const own = "/etc/systemd/system/gateway.service.d/own.conf";

/** A boot of an enrolled gateway. Of its program there is a drop-in, or none. */
async function boot(settings = "", program?: string): Promise<void> {
  if (noRig !== undefined) return;
  await gateway.shutDown();
  await gateway.sh(`rm -rf ${own} /starts /var/lib/mooring/* /go; echo >/starts`);
  if (program !== undefined) gateway.write(own, dropIn(program));
  await gateway.sh("systemctl daemon-reload");
  gateway.configure(settings);
  await gateway.enroll("hub.example");
  await gateway.boot();
}

/** The next boot, with what the gateway has; the program's starts are counted anew. */
async function bootAgain(settings: string, before = ""): Promise<void> {
  await gateway.shutDown();
  await gateway.sh(`${before}
    rm -f /starts; echo >/starts`);
  gateway.configure(settings);
  await gateway.boot();
}

const isActive = (unit: string): Promise<void> => gateway.until(`systemctl is-active ${unit}`);
const isInactive = (unit: string): Promise<void> =>
  gateway.until(`test $(systemctl is-active ${unit}) = inactive`);
const failed = (): Promise<string> => gateway.sh("systemctl --failed --plain --no-legend | cut -d ' ' -f 1");
/** How often the program was started since the boot. */
const starts = async (): Promise<number> => Number(await gateway.sh("wc -l </starts")) - 1;
const followed = (): Promise<void> => gateway.followed();
const enrollmentIs = async (status: "enabled" | "disabled"): Promise<void> => {
  const { code, stderr } = await service.operator("enrollment", "update", gateway.name, "--status", status);
  expect(code, stderr).toBe(0);
};
const moveTo = async (hub: string): Promise<void> => {
  await gateway.enroll(hub);
  await gateway.sh("mooring reprovision --wait");
  await followed();
};

describe.skipIf(noRig)(underSystemd, () => {
  describe("an assignment that is withdrawn", () => {
    beforeEach(() => boot('[reprovision]\non_disenrolled = "withdraw"'));
    // Stopped before the other, and stopping until it may go.
    const slow = `[Unit]
After=gateway.service
PartOf=mooring-assigned.target
[Service]
ExecStart=sleep infinity
ExecStop=/bin/sh -c 'until test -e /stopped; do sleep 0.1; done'
`;

    /** Until it is stopping, which it is for as long as there is no /stopped. */
    async function withdrawWhileOneStops(): Promise<void> {
      await isActive("gateway");
      gateway.write("/etc/systemd/system/slow.service", slow);
      await gateway.sh("systemctl daemon-reload; systemctl start slow");
      await enrollmentIs("disabled");
      await gateway.sh("mooring reprovision --wait || true");
      await gateway.until("systemctl is-active slow | grep deactivating");
    }

    it("stops who works with it, who is started again with the next, however often", async () => {
      await isActive("gateway");
      for (let round = 1; round <= 3; round += 1) {
        await enrollmentIs("disabled");
        await gateway.sh("mooring reprovision --wait || true");
        await isInactive("gateway");
        await isInactive("mooring-assigned.target");
        await followed();
        await gateway.until("test ! -e /var/lib/mooring/hub.env -a ! -e /run/mooring/hub.env");
        expect(await failed()).toBe("");

        await enrollmentIs("enabled");
        await gateway.sh("mooring reprovision --wait");
        await isActive("gateway");
        await followed();
        expect(await starts()).toBe(1 + round);
        expect(await failed()).toBe("");
      }
    });

    it("leaves nobody at the old hub who was still stopping when another one came", async () => {
      await withdrawWhileOneStops();
      await gateway.enroll("later.example");
      await gateway.sh("mooring reprovision --wait; touch /stopped");
      await gateway.until("journalctl -q -o cat -u gateway | grep -x 'works for later.example'");
      await gateway.sh("rm /etc/systemd/system/slow.service /stopped; systemctl daemon-reload");
    });

    it("is nothing to start with while others still stop, nor after a restart then", async () => {
      await withdrawWhileOneStops();
      gateway.write(
        "/etc/systemd/system/wants.service",
        `[Unit]
Wants=mooring-assigned.target
After=mooring-assigned.target
[Service]
EnvironmentFile=/run/mooring/hub.env
ExecStart=sh -c 'echo works for $IOTHUB_HOSTNAME; exec sleep infinity'
`,
      );
      await gateway.sh("systemctl daemon-reload; systemctl --no-block start wants");
      await gateway.sh("systemctl --no-block restart gateway; touch /stopped");
      await gateway.until("systemctl is-active mooring-wait | grep activating");
      await gateway.until("! systemctl is-active gateway");
      await gateway.enroll("next.example");
      await enrollmentIs("enabled");
      await gateway.sh("mooring reprovision --wait");
      for (const unit of ["wants", "gateway"])
        await gateway.until(`journalctl -q -o cat -u ${unit} | grep -x 'works for next.example'`);
      expect(await gateway.sh("journalctl -q -o cat -u wants")).not.toContain("hub.example");
      await gateway.sh(`systemctl stop wants; rm /etc/systemd/system/slow.service /etc/systemd/system/wants.service
        rm /stopped; systemctl daemon-reload; systemctl reset-failed`);
    });

    it("stops who works with it although what was followed last is lost", async () => {
      await isActive("gateway");
      await followed();
      await gateway.sh(": >/run/mooring-changed/followed");
      await enrollmentIs("disabled");
      await gateway.sh("mooring reprovision --wait || true");
      await isInactive("gateway");
      await gateway.until("test ! -e /run/mooring/hub.env");
    });

    it("is over with the next one, although the agent was killed before it could ring for that", async () => {
      await isActive("gateway");
      gateway.write("/etc/systemd/system/slow.service", slow);
      await gateway.sh(`systemctl daemon-reload; systemctl start slow; cd /run/mooring/agent
        cp -p assigned /kept; rm assigned; touch changed`);
      await gateway.until("systemctl is-active slow | grep deactivating");
      await gateway.sh("mv /kept /run/mooring/agent/assigned; touch /stopped");
      await followed();
      await isActive("gateway");
      expect(await starts()).toBe(2);
      await gateway.sh("rm /etc/systemd/system/slow.service /stopped; systemctl daemon-reload");
    });

    it("is not taken for one after the next boot either", async () => {
      await isActive("gateway");
      await enrollmentIs("disabled");
      await gateway.sh("mooring reprovision --wait || true");
      await isInactive("gateway");
      await gateway.shutDown();
      await gateway.boot();
      await isActive("mooring");
      await followed();
      expect(await gateway.sh("systemctl is-active gateway mooring-assigned.target || true")).toBe(
        "inactive\ninactive",
      );
      expect(await failed()).toBe("");
    });
  });

  describe("another hub", () => {
    it("has who failed at the one before tried again, and who works started anew once", async () => {
      await boot(
        "",
        "ExecStart=\nExecStart=/bin/sh -c 'test $IOTHUB_HOSTNAME = second.example && exec sleep infinity'",
      );
      await gateway.until("systemctl is-failed gateway");
      await followed();
      await gateway.sh("touch /run/mooring/agent/changed"); // heard twice
      await followed();
      expect(await starts()).toBe(1);
      await moveTo("second.example");
      await isActive("gateway");
      expect(await starts()).toBe(2);
      expect(await failed()).toBe("");

      await moveTo("hub.example");
      await gateway.until("systemctl is-failed gateway");
      expect(await starts()).toBe(3);
    });

    it("has units with escapes in their names follow as well", async () => {
      const name = "worker@dev-ttyS\\x2d0.service";
      gateway.write(
        "/etc/systemd/system/worker@.service",
        `[Unit]
After=mooring-assigned.target
PartOf=mooring-assigned.target
[Service]
EnvironmentFile=/run/mooring/hub.env
ExecStart=/bin/sh -c 'echo works for $IOTHUB_HOSTNAME; test $IOTHUB_HOSTNAME != second.example && exec sleep infinity'
[Install]
WantedBy=mooring-assigned.target
`,
      );
      await gateway.sh(`systemctl daemon-reload; systemctl enable '${name}'`);
      await boot();
      await isActive(`'${name}'`);
      await moveTo("second.example");
      await gateway.until(`systemctl is-failed '${name}'`); // anew, and failing
      await moveTo("third.example");
      await isActive(`'${name}'`); // tried again
      await gateway.sh(`systemctl disable --now '${name}'; rm /etc/systemd/system/worker@.service
        systemctl daemon-reload`);
    });

    it("starts nothing where an operator has masked what works with the assignment", async () => {
      await boot();
      await isActive("gateway");
      await gateway.sh("systemctl mask --now mooring-assigned.target");
      await isInactive("gateway");
      await moveTo("second.example");
      expect(await gateway.sh("systemctl is-active gateway mooring-assigned.target || true")).toBe(
        "inactive\ninactive",
      );
      expect(await failed()).toBe("");
      // Nor where it failed when it was stopped, as a JVM does.
      await gateway.sh("systemd-run --unit=fails -p PartOf=mooring-assigned.target /bin/false || true");
      await gateway.until("systemctl is-failed fails");
      const start = await gateway.show("fails", "InvocationID");
      await moveTo("masked.example");
      expect(await gateway.show("fails", "InvocationID")).toEqual(start);
      await gateway.sh("systemctl reset-failed fails || true");
      await gateway.sh("systemctl unmask mooring-assigned.target; systemctl start mooring-assigned.target");
      await isActive("gateway");
      expect(await starts()).toBe(2);
    });

    it("restarts others once where one of them may not be stopped", async () => {
      gateway.write(
        "/etc/systemd/system/stubborn.service",
        "[Unit]\nRefuseManualStop=yes\nPartOf=mooring-assigned.target\n[Service]\nExecStart=sleep infinity\n",
      );
      await boot();
      await isActive("gateway");
      await gateway.sh("systemctl start stubborn");
      await moveTo("stubborn.example");
      await gateway.until("journalctl -q -o cat -u gateway | grep -x 'works for stubborn.example'");
      await gateway.sh("sleep 6"); // as long as a failed service waits to be tried again
      expect(await starts()).toBe(2);
      expect(await failed()).toBe("");
      await gateway.sh(
        "systemctl kill stubborn; rm /etc/systemd/system/stubborn.service; systemctl daemon-reload",
      );
    });

    it("has who was started without the target follow as well", async () => {
      await boot();
      await isActive("gateway");
      await gateway.sh("systemctl stop mooring-assigned.target; systemctl start gateway");
      await moveTo("byhand.example");
      await gateway.until("journalctl -q -o cat -u gateway | grep -x 'works for byhand.example'");
      await isActive("mooring-assigned.target");
    });

    it("is there again after a change of targets that stops the one of the assignment", async () => {
      await boot("", "ExecStop=/bin/sleep 1");
      await isActive("gateway");
      await followed();
      await gateway.sh("systemctl isolate multi-user.target");
      await gateway.until("test $(wc -l </starts) = 3");
      await isActive("gateway");
      await isActive("mooring-assigned.target");
      expect(await failed()).toBe("");
    });

    it("is there for who comes back from rescue, too", async () => {
      gateway.write("/etc/systemd/system/rescue.target", "[Unit]\nRequires=basic.target\nAllowIsolate=yes\n");
      await boot();
      await isActive("gateway");
      await gateway.sh("systemctl isolate rescue.target");
      await isInactive("gateway");
      await gateway.sh("systemctl isolate multi-user.target");
      await isActive("gateway");
      expect(await starts()).toBe(2);
      expect(await failed()).toBe("");
    });

    it("is followed as often as it comes, and when a ring is not heard at once", async () => {
      await boot();
      await isActive("gateway");
      await gateway.sh("systemctl stop mooring-changed.path");
      await gateway.enroll("unheard.example");
      await gateway.sh("mooring reprovision --wait");
      expect(await starts()).toBe(1); // negative control: nobody hears it
      await gateway.sh("systemctl start mooring-changed.path");
      await gateway.until("journalctl -q -o cat -u gateway | grep -x 'works for unheard.example'");
      for (const hub of ["a.example", "b.example", "c.example"]) {
        await gateway.enroll(hub);
        await gateway.sh("mooring reprovision --wait");
      }
      await gateway.until("journalctl -q -o cat -u gateway | grep -x 'works for c.example'");
    });
  });

  describe("publishing", () => {
    const slow = `[[outputs]]
path = "/var/lib/mooring/first.env"
on_change = ["/bin/sh", "-c", "until test -e /go; do sleep 0.1; done"]
[[outputs]]
path = "/var/lib/mooring/hub.env"`;

    it("that takes its time is waited for, by the target and by `mooring wait`", async () => {
      await boot(slow);
      await gateway.until("test -e /var/lib/mooring/first.env");
      await expect(gateway.sh("mooring wait --timeout 1s")).rejects.toThrow("ERR_DEADLINE");
      expect(await gateway.sh("systemctl is-active mooring-assigned.target || true")).toBe("inactive");
      await gateway.sh("touch /go; mooring wait --timeout 20s");
      await isActive("gateway");
      expect(await starts()).toBe(1);
      expect(await failed()).toBe("");
    });

    it("is over for who waits for the target once the environment is there, too", async () => {
      await gateway.sh("systemctl mask mooring-changed.service");
      await boot();
      await gateway.until("mooring status");
      const wants = "-p Wants=mooring-assigned.target -p After=mooring-assigned.target";
      const own = "-p EnvironmentFile=/run/mooring/hub.env";
      await gateway.sh(`systemd-run --no-block --unit=wants ${wants} ${own} sleep infinity`);
      await gateway.until("pgrep -x sleep -P $(systemctl show mooring-wait -p MainPID --value)");
      expect(await gateway.sh("systemctl is-active wants || true")).toBe("inactive");
      await gateway.sh("systemctl unmask mooring-changed.service; systemctl start mooring-changed.path");
      await isActive("wants");
      await gateway.sh("systemctl stop wants");
      expect(await failed()).toBe("");
    });

    it("puts nothing else into a program's environment, and cannot have systemd wait, whatever the agent is made to do", async () => {
      await boot();
      await isActive("gateway");
      await gateway.sh("systemctl stop mooring.path mooring.timer mooring.socket mooring");
      const said = await gateway.sh("cat /run/mooring/agent/assigned");
      const more = [
        "LD_PRELOAD=/tmp/evil.so",
        ...['IOTHUB_HOSTNAME="', "LD_AUDIT=/tmp/evil.so", '"'],
        ...[
          'DPS_ID_SCOPE="b" LD_C=c',
          'DPS_ID_SCOPE="d\\',
          'LD_E=e"',
          'IOTHUB_SECRET="s"',
          'DPS_PAYLOAD="\\"f\\\\"',
          "DPS_ENDPOINT=$(touch /tmp/evil)",
        ],
      ];
      gateway.write(
        "/run/mooring/agent/new",
        `${said.replaceAll("hub.example", "evil.example")}\n${more.join("\n")}\n`,
      );
      await gateway.sh(`cd /run/mooring/agent; chown mooring:mooring new; mv new assigned
        rm /var/lib/mooring/hub.env; mkfifo /var/lib/mooring/hub.env; touch changed`);
      await gateway.until("grep evil.example /run/mooring/hub.env");
      await followed();
      const environment = (await gateway.sh("cat /run/mooring/hub.env")).split("\n");
      const published = said.split("\n").filter((line) => /^(IOTHUB|DPS)/.test(line));
      expect(published.length).toBeGreaterThan(4);
      expect(environment).toEqual([
        ...published.map((line) => line.replace("hub.example", "evil.example")),
        'DPS_PAYLOAD="\\"f\\\\"',
      ]);
      await gateway.sh("timeout 20 systemctl restart gateway");
      await isActive("gateway");
    });

    it("goes where a drop-in lets it, as the README has it", async () => {
      const [directory = ""] = /RuntimeDirectory=gateway/.exec(readFileSync("README.md", "utf8")) ?? [];
      gateway.write("/etc/systemd/system/mooring.service.d/own.conf", dropIn(directory));
      await boot(
        '[[outputs]]\npath = "/run/gateway/hub.env"',
        "EnvironmentFile=\nEnvironmentFile=/run/gateway/hub.env",
      );
      await isActive("gateway");
      await bootAgain("mistake = true");
      await isActive("gateway"); // its file is there still
      await gateway.sh("rm -r /etc/systemd/system/mooring.service.d");
    });

    it("that fails altogether starts nobody, who is started once it does not", async () => {
      await boot();
      await isActive("gateway");
      const settings = '[[outputs]]\npath = "/var/lib/mooring/out/hub.env"';
      await bootAgain(settings, "echo in the way >/var/lib/mooring/out");
      await gateway.until("systemctl show mooring -p StatusText | grep ERR_OUTPUT");
      await followed();
      expect(await gateway.sh("systemctl is-active mooring-assigned.target || true")).toBe("inactive");
      expect(JSON.parse(await gateway.sh("mooring status --json || test $? = 66"))).toMatchObject({
        usable: { yes: false, because: "it is not published yet" },
      });
      await gateway.sh("rm /var/lib/mooring/out; systemctl reload mooring");
      await isActive("gateway");
      expect(await starts()).toBe(1);
    });

    it("that fails in part starts all; who failed for want of it is started once it is there, and nobody else anew", async () => {
      const both =
        '[[outputs]]\npath = "/var/lib/mooring/hub.env"\n[[outputs]]\npath = "/var/lib/mooring/out/more.env"';
      gateway.write(
        "/etc/systemd/system/other.service",
        `[Unit]
After=mooring-assigned.target
PartOf=mooring-assigned.target
[Service]
ExecStart=/bin/sh -c 'test -e /var/lib/mooring/out/more.env && exec sleep infinity'
[Install]
WantedBy=mooring-assigned.target
`,
      );
      await gateway.sh("systemctl daemon-reload; systemctl enable other");
      await boot();
      await isActive("gateway");
      await bootAgain(both, "echo in the way >/var/lib/mooring/out");
      await isActive("gateway");
      await gateway.until("systemctl is-failed other");
      await gateway.sh("rm /var/lib/mooring/out; systemctl reload mooring");
      await isActive("other");
      await followed();
      expect(await starts()).toBe(1);
      await gateway.sh(
        "systemctl disable --now other; rm /etc/systemd/system/other.service; systemctl daemon-reload",
      );
    });
  });

  describe("an agent that is switched off as the README has it", () => {
    const [, off = ""] = /`(systemctl disable --now [^`]*)`/.exec(readFileSync("README.md", "utf8")) ?? [];

    it("stays off, whoever waits for an assignment", async () => {
      await boot();
      await isActive("gateway");
      await gateway.sh(off.replaceAll("\n", " "));
      await gateway.shutDown();
      await gateway.boot();
      const wants = "-p Wants=mooring-assigned.target -p After=mooring-assigned.target";
      await gateway.sh(`systemd-run --no-block --unit=wants ${wants} sleep infinity`);
      await gateway.until("pgrep -x sleep -P $(systemctl show mooring-wait -p MainPID --value)"); // it has looked
      const units = "mooring mooring.socket mooring-assigned.target gateway";
      expect(await gateway.sh(`systemctl is-active ${units} | sort -u`)).toBe("inactive");
      await gateway.sh(`systemctl stop wants mooring-wait
        systemctl enable ${watchers} mooring mooring-changed`);
      await gateway.boot();
      await isActive("gateway");
    });
  });

  describe("an agent that cannot start", () => {
    const broken = "mistake = true";

    it("costs nobody the assignment that was published", async () => {
      await boot();
      await isActive("gateway");
      await bootAgain(broken);
      await gateway.until("systemctl is-failed mooring");
      await isActive("gateway");
      await followed();
      expect(await starts()).toBe(1);
      gateway.configure();
      await isActive("mooring");
      await followed();
      expect(await starts()).toBe(1);
    });

    it("costs nobody that either when it crashes at every start", async () => {
      await boot();
      await isActive("gateway");
      const dropIns = "/etc/systemd/system/mooring.service.d";
      gateway.write(`${dropIns}/own.conf`, dropIn("ExecStart=\nExecStart=/bin/false"));
      await gateway.sh("systemctl daemon-reload");
      await bootAgain("");
      await isActive("gateway");
      await gateway.until("systemctl show mooring -p SubState | grep auto-restart");
      await gateway.sh(`rm -r ${dropIns}; systemctl daemon-reload; systemctl restart mooring`);
      await followed();
      expect(await starts()).toBe(1);
    });

    it("costs nobody that either when its state is damaged, and there is no network", async () => {
      await boot();
      await isActive("gateway");
      await gateway.shutDown();
      await gateway.sh(`echo damaged | tee /var/lib/mooring/generations/*/assignment.json
        sed -i 's/localhost/unknown.invalid/' /etc/mooring/config.toml; rm /starts; echo >/starts`);
      await gateway.boot();
      await isActive("gateway");
      await gateway.until("systemctl show mooring -p StatusText | grep 'no assignment yet'");
      gateway.configure();
      await gateway.until("mooring status");
      await followed();
      expect(await starts()).toBe(1);
    });

    it("costs nobody that when systemd cannot set up its sandbox", async () => {
      await boot();
      await isActive("gateway");
      const dropIns = "/etc/systemd/system/mooring.service.d";
      gateway.write(`${dropIns}/own.conf`, dropIn("ReadWritePaths=/nowhere"));
      await gateway.sh("systemctl daemon-reload");
      await bootAgain("");
      await isActive("gateway");
      await gateway.until("systemctl show mooring -p ExecMainStatus | grep 226");
      expect(await gateway.sh("stat -c %U /run/mooring/agent/assigned")).toBe("mooring");
      await gateway.sh(`rm -r ${dropIns}; systemctl daemon-reload; systemctl restart mooring`);
      await followed();
      expect(await starts()).toBe(1);
    });

    it("has no boot wait where that is gone, but for who wants the target", async () => {
      await boot();
      await isActive("gateway");
      await bootAgain(broken, "rm /var/lib/mooring/hub.env");
      await gateway.until("systemctl is-failed mooring");
      expect(await gateway.sh("systemctl list-jobs --no-legend")).toBe("");
      expect(await gateway.sh("systemctl is-active gateway || true")).toBe("inactive");

      const wants = "-p Wants=mooring-assigned.target -p After=mooring-assigned.target";
      await gateway.sh(`systemd-run --no-block --unit=wants ${wants} sleep infinity`);
      await gateway.until("systemctl is-active mooring-wait | grep activating");
      // Not even when what waits is killed, as for want of memory.
      await gateway.until("pkill -KILL -f 'main.js wai[t]'");
      await gateway.until("pgrep -x sleep -P $(systemctl show mooring-wait -p MainPID --value)");
      expect(await gateway.sh("systemctl is-active wants || true")).toBe("inactive");
      gateway.configure();
      // Who waits sleeps ten seconds after a failure.
      await gateway.until("systemctl is-active wants", 60);
      await isActive("gateway");
      await gateway.sh("systemctl stop wants");
    });
  });
});

// Whether everybody can use the portal: by keyboard, by screen reader, in the dark, on a narrow screen; and whether
// the page keeps to its own rules. Leaves pictures of every view.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { certificateWorkshop } from "../service/certificates.ts";
import { groupOfKeys, register } from "../support/fleet-of-keys.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { narrow, openBrowser, type PortalBrowser, pictures, wide } from "../support/portal.ts";
import { faintTexts, namelessControls, overflows } from "../support/portal-audit.ts";

let service: LocalService;
let browser: PortalBrowser;

beforeAll(async () => {
  const hubs = ["contoso-eu", "contoso-us", "contoso-asia"].map((name) => `${name}.azure-devices.net`);
  service = await startService("--hub", ...hubs);
  using workshop = certificateWorkshop();
  const root = workshop.issue("/O=Contoso/CN=Contoso Plant Root", { ca: true, days: 3650 });
  const device = workshop.issue("/O=Contoso/CN=press-line-4", { by: root, days: 365 });
  await service.enroll("/enrollmentGroups/plant-7", {
    enrollmentGroupId: "plant-7",
    attestation: { type: "x509", x509: { signingCertificates: { primary: { certificate: root.pem } } } },
  });
  await service.enroll("/enrollments/press-line-4", {
    registrationId: "press-line-4",
    attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate: device.pem } } } },
    allocationPolicy: "static",
    iotHubs: [hubs[0]],
  });
  await service.enroll("/enrollmentGroups/sensors", groupOfKeys("sensors"));
  await service.enroll(
    "/enrollmentGroups/retired",
    groupOfKeys("retired", { allocationPolicy: "static", provisioningStatus: "disabled" }),
  );
  const longest = "x".repeat(128);
  await service.enroll(`/enrollmentGroups/${longest}`, groupOfKeys(longest));
  await register(service, longest, `y${longest.slice(1)}`);
  await service.enroll(`/enrollments/${longest}`, {
    registrationId: longest,
    deviceId: longest,
    attestation: { type: "symmetricKey" },
  });
  for (let index = 1; index <= 9; index += 1) await register(service, "sensors", `sensor-${index}`);
  await service.enroll("/enrollments/gw-1", {
    registrationId: "gw-1",
    attestation: { type: "symmetricKey" },
  });
  browser = await openBrowser();
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
  process.stdout.write(`pictures of the portal: ${pictures}\n`);
});

const views = [
  ["overview", "#/overview", "Overview"],
  ["groups", "#/groups", "Enrollment groups"],
  ["enrollments", "#/enrollments", "Individual enrollments"],
  ["registrations", "#/registrations", "Registrations"],
  ["hubs", "#/hubs", "Hubs"],
  ["scenarios", "#/scenarios", "Scenarios"],
  ["quotas", "#/quotas", "Quotas"],
  ["group", "#/groups/plant-7", "plant-7"],
  ["enrollment", "#/enrollments/press-line-4", "press-line-4"],
  ["add-group", "#/add-group", "Add enrollment group"],
  ["add-enrollment", "#/add-enrollment", "Add individual enrollment"],
  ["registration", "#/registrations/sensor-1", "sensor-1"],
  ["longest", `#/enrollments/${"x".repeat(128)}`, "x".repeat(128)],
] as const;

const dialogs = [
  ["enrollment-delete", "#/enrollments/press-line-4", "press-line-4", "Delete…"],
  ["group-delete", "#/groups/plant-7", "plant-7", "Delete…"],
  ["certificate-roll", "#/enrollments/press-line-4", "press-line-4", "Roll the certificate…"],
  ["hub", "#/hubs", "Hubs", "Link hub"],
  ["hub-unlink", "#/hubs", "Hubs", "Unlink contoso-eu.azure-devices.net"],
  ["scenario", "#/scenarios", "Scenarios", "Set scenario…"],
  ["registration-delete", "#/registrations/sensor-1", "sensor-1", "Delete…"],
] as const;

describe("everybody", () => {
  it.each([
    ["light", "light", wide],
    ["dark", "dark", wide],
    ["narrow", "light", narrow],
    ["narrow-dark", "dark", narrow],
  ] as const)("can read every view and dialog: %s", async (look, scheme, size) => {
    await using tab = await browser.open(service, { scheme, size });
    const { page } = tab;
    const audit = async (name: string): Promise<void> => {
      await tab.settle();
      await tab.picture(`${name}-${look}`);
      expect.soft(await namelessControls(page), name).toEqual([]);
      expect.soft(await faintTexts(page), name).toEqual([]);
      expect.soft(await overflows(page), name).toBe(false);
    };
    for (const [name, hash, heading] of views) {
      await tab.visit(hash, heading);
      await audit(name);
    }
    for (const [name, hash, heading, opener] of dialogs) {
      await tab.visit(hash, heading);
      await page.getByRole("button", { name: opener, exact: true }).click();
      await audit(`dialog-${name}`);
      await page.keyboard.press("Escape");
      await page.locator("dialog").waitFor({ state: "detached" });
      // The focus is back where it came from.
      expect
        .soft(await page.evaluate("document.activeElement.textContent"), name)
        .toContain(opener.split(" ")[0]);
    }
  });

  it("can enroll a device with the keyboard alone", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    const focusOn = async (name: string): Promise<void> => {
      for (let step = 0; step < 60; step += 1) {
        await page.keyboard.press("Tab");
        const focused = await page.evaluate(
          "((e) => e.ariaLabel || e.labels?.[0]?.textContent || e.textContent)(document.activeElement)",
        );
        if (String(focused).trim() === name) return;
      }
      expect.fail(`the keyboard does not reach ${name}`);
    };
    await focusOn("Skip to the content");
    await focusOn("Individual enrollments");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Individual enrollments", level: 1 }).waitFor();
    await focusOn("Add individual enrollment");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Add individual enrollment", level: 1 }).waitFor();
    await focusOn("Registration id");
    await page.keyboard.type("by-keyboard");
    await focusOn("X.509");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await focusOn("Device id (optional)");
    await page.keyboard.type("typed");
    await focusOn("Create");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "by-keyboard", level: 1, exact: true }).waitFor();
    expect((await service.operator("enrollment", "show", "by-keyboard", "--json")).json).toMatchObject({
      attestation: { type: "symmetricKey" },
      deviceId: "typed",
    });
  });

  it("is measured by an audit that sees what is planted", async () => {
    await using tab = await browser.open(service, { lawless: true });
    const { page } = tab;
    await page.evaluate(`document.body.insertAdjacentHTML("beforeend",
      '<button></button><p style="color: #999; background: #fff">faint</p><div style="width: 3000px">wide</div>')`);
    expect(await namelessControls(page)).toHaveLength(1);
    expect(await faintTexts(page)).toEqual([expect.stringMatching(/^faint 2\.85$/)]);
    expect(await overflows(page)).toBe(true);
  });
});

describe("the page's own rules", () => {
  it("keep it from running and asking anything but what is its own", async () => {
    await using tab = await browser.open(service);
    await tab.page.evaluate(`document.body.insertAdjacentHTML("beforeend", '<p style="color: red">x</p>')`);
    await tab.page.evaluate(`fetch("https://127.0.0.1:9/").catch(() => {})`);
    const complaints = tab.takeComplaints();
    expect(complaints.filter((text) => /Content Security Policy/.test(text)).length).toBeGreaterThan(1);
  });

  it("are watched: a request to elsewhere fails the test that makes it", async () => {
    await using tab = await browser.open(service, { lawless: true });
    await tab.page.evaluate(`fetch("https://127.0.0.1:9/").catch(() => {})`);
    expect(tab.takeComplaints()).toContain("foreign request to https://127.0.0.1:9");
  });
});

// Managing enrollments in the portal: every action, and what it says to bad input.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { certificateWorkshop, type Issued, type Workshop } from "../service/certificates.ts";
import { softTpm } from "../service/soft-tpm.ts";
import { groupKey, register } from "../support/fleet-of-keys.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { openBrowser, type PortalBrowser, type PortalTab } from "../support/portal.ts";

let service: LocalService;
let browser: PortalBrowser;
let workshop: Workshop;
let authority: Issued;

beforeAll(async () => {
  workshop = certificateWorkshop();
  authority = workshop.issue("/O=Contoso/CN=Plant 7 Root", { ca: true, days: 400 });
  service = await startService("--hub", "eu.azure-devices.net", "us.azure-devices.net");
  browser = await openBrowser();
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
  workshop[Symbol.dispose]();
});

const pem = (text: string, name = "certificate.pem") => ({
  name,
  mimeType: "application/x-pem-file",
  buffer: Buffer.from(text),
});

/** Certificate of a device, from a CA. */
const device = (name: string, { days = 90 } = {}): string =>
  workshop.issue(`/O=Contoso/CN=${name}`, { by: authority, days }).pem;

const certificateInput = ({ page }: PortalTab, label = "Primary certificate") =>
  page.getByLabel(`${label}: choose a file`);

/** An alert, or what is written at a field. */
const said = ({ page }: PortalTab, text: string | RegExp) => page.getByText(text).first().waitFor();

/** The machine may be busy with other tests. */
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 10_000 });

/** Waits until the enrollment itself is on the page. */
const arrive = ({ page }: PortalTab, id: string) =>
  page.getByRole("heading", { name: id, level: 1, exact: true }).waitFor();

describe("an enrollment group", () => {
  it("is made of a CA certificate whose facts are shown before it is saved", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await tab.visit("#/groups", "Enrollment groups");
    await said(tab, "No enrollment groups yet");
    await tab.picture("groups-empty");
    await page.getByRole("link", { name: "Add enrollment group" }).click();
    await said(tab, /TPM is not offered for groups/);
    expect(await page.getByRole("radio", { name: "TPM" }).count()).toBe(0);

    await page.getByLabel("Group name").fill("plant-7");
    await certificateInput(tab).setInputFiles(pem(authority.pem));
    await said(tab, "No problems found.");
    await said(tab, /CN=Plant 7 Root/);
    await tab.picture("group-certificate-facts");
    await page.getByRole("button", { name: "Create" }).click();
    // The notice goes after some seconds.
    await Promise.all([arrive(tab, "plant-7"), said(tab, "Created plant-7.")]);
    await said(tab, /To replace a certificate, roll it/);
    await page.getByRole("link", { name: "Enrollment groups" }).first().click();
    await page.getByRole("link", { name: "plant-7" }).waitFor();
  });

  it("takes DER files too, and certificates that are dropped or pasted", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    const root = workshop.issue("/CN=Dropped Root", { ca: true });
    await tab.visit("#/add-group", "Add enrollment group");
    await certificateInput(tab).setInputFiles({ name: "ca.cer", mimeType: "", buffer: root.der });
    await said(tab, "No problems found.");
    await page.getByRole("button", { name: "Remove the primary certificate" }).click();

    const transfer = await page.evaluateHandle(
      `(() => { const t = new DataTransfer(); t.items.add(new File([${JSON.stringify(root.pem)}], "ca.pem")); return t; })()`,
    );
    await page.locator(".drop").first().dispatchEvent("drop", { dataTransfer: transfer });
    await said(tab, "No problems found.");
    await page.getByRole("button", { name: "Remove the primary certificate" }).click();

    await page.getByLabel("Primary certificate", { exact: true }).fill(root.pem);
    await said(tab, "No problems found.");
  });

  it("says what is wrong with a certificate, at its place and before and after it is sent", async () => {
    await using tab = await browser.open(service);
    tab.expectStatus(400);
    const { page } = tab;
    await tab.visit("#/add-group", "Add enrollment group");
    await page.getByRole("button", { name: "Create" }).click();
    await said(tab, "Enter the group name.");
    await said(tab, "Add the primary certificate.");
    await eventually(() => page.evaluate("document.activeElement.name")).toBe("enrollmentGroupId");
    await tab.picture("group-mistakes");

    await page.getByLabel("Group name").fill("not-a-ca");
    await certificateInput(tab).setInputFiles(pem("this is no certificate"));
    await page.locator(".certificate .mistake", { hasText: "This is no certificate" }).waitFor();
    await page.getByRole("button", { name: "Remove the primary certificate" }).click();
    const leaf = workshop.issue("/CN=leaf");
    await certificateInput(tab).setInputFiles(pem(leaf.pem));
    await page.locator(".certificate .mistake", { hasText: "is not a CA certificate" }).waitFor();
    await page.getByRole("button", { name: "Create" }).click();
    const alert = page.getByRole("alert").filter({ hasText: "was not created" });
    await alert.getByText("Not a CA certificate.").waitFor();
    expect(await alert.getByText(/^Tracking id [0-9a-f-]{36}/).count()).toBe(1);
    await tab.picture("group-refused");
  });

  it("of symmetric keys shows them on demand only, and copies them", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await tab.visit("#/add-group", "Add enrollment group");
    await page.getByLabel("Group name").fill("presses");
    await page.getByRole("radio", { name: "Symmetric key" }).check();
    await page.getByRole("checkbox", { name: /generate the keys/ }).uncheck();
    await page.getByLabel("Primary key").fill("c2hvcnQ=");
    await page.getByRole("button", { name: "Create" }).click();
    expect(await page.getByText("Base64 of 16 to 64 bytes.").count()).toBeGreaterThan(1);
    await page.getByLabel("Primary key").fill(groupKey("presses"));
    await page.getByLabel("Secondary key").fill(groupKey("presses"));
    await page.getByRole("button", { name: "Create" }).click();
    await arrive(tab, "presses");
    expect(await page.getByText(groupKey("presses")).count()).toBe(0);
    await page.getByRole("button", { name: "Show the keys" }).click();
    await said(tab, groupKey("presses"));
    await page.getByRole("button", { name: "Copy primary key" }).click();
    await expect.poll(() => page.evaluate("navigator.clipboard.readText()")).toBe(groupKey("presses"));
    await page.getByRole("button", { name: "Hide the keys" }).click();
    expect(await page.getByText(groupKey("presses")).count()).toBe(0);
    expect(await register(service, "presses", "press-1")).toBe(200);
    await page.getByRole("link", { name: "press-1" }).waitFor();
  });

  it("is deleted together with its registration records, when that is wished", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await tab.visit("#/groups/presses", "presses");
    await page.getByRole("button", { name: "Delete…" }).click();
    const dialog = page.getByRole("alertdialog");
    await dialog.getByText("1 device has registered through it").waitFor();
    await tab.picture("group-delete");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Delete…" }).click();
    await dialog.getByRole("checkbox", { name: /registration records/ }).check();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await said(tab, "Deleted presses.");
    await tab.visit("#/registrations", "Registrations");
    await said(tab, "No device has registered yet");
    expect(await register(service, "presses", "press-1")).toBe(404);
  });
});

describe("an individual enrollment", () => {
  it("leaves a private key that lies beside the certificate where it is", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    const sent: string[] = [];
    page.on("request", (request) => sent.push(request.postData() ?? ""));
    const secret = "-----BEGIN PRIVATE KEY-----\nAAECAwQFBgcICQ==\n-----END PRIVATE KEY-----\n";
    await tab.visit("#/add-enrollment", "Add individual enrollment");
    await certificateInput(tab).setInputFiles(pem(secret));
    await said(tab, "This is a private key and no certificate.");
    await certificateInput(tab).setInputFiles(pem(secret + device("careless")));
    await said(tab, /There was a private key in this file/);
    await eventually(() => page.getByLabel("Registration id").inputValue()).toBe("careless");
    await page.getByRole("button", { name: "Create" }).click();
    await arrive(tab, "careless");
    expect(sent.filter((body) => body.includes("CERTIFICATE")).length).toBeGreaterThan(1);
    expect(sent.filter((body) => body.includes("PRIVATE KEY"))).toEqual([]);
  });

  it("takes its registration id from the certificate, and says when they differ", async () => {
    await using tab = await browser.open(service);
    tab.expectStatus(400);
    const { page } = tab;
    await tab.visit("#/add-enrollment", "Add individual enrollment");
    await certificateInput(tab).setInputFiles(pem(device("gw-0001", { days: 20 })));
    await eventually(() => page.getByLabel("Registration id").inputValue()).toBe("gw-0001");
    await said(tab, "19 days left");
    await page.getByLabel("Registration id").fill("gw-other");
    await said(tab, /The common name of the certificate is gw-0001/);
    await tab.picture("enrollment-name-differs");
    await page.getByRole("button", { name: "Use gw-0001" }).click();
    await page.getByLabel("Device id (optional)").fill("pump-1");
    await page.getByRole("radio", { name: "Static configuration" }).check();
    await page.getByRole("radio", { name: "us.azure-devices.net" }).check();
    await tab.picture("enrollment-form");
    await page.getByRole("button", { name: "Create" }).click();
    await arrive(tab, "gw-0001");
    expect((await service.operator("enrollment", "show", "gw-0001", "--json")).json).toMatchObject({
      deviceId: "pump-1",
      allocationPolicy: "static",
      iotHubs: ["us.azure-devices.net"],
    });
  });

  it("does not take the place of one that is there", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await tab.visit("#/add-enrollment", "Add individual enrollment");
    await page.getByLabel("Registration id").fill("gw-0001");
    await page.getByRole("radio", { name: "Symmetric key" }).check();
    await page.getByRole("button", { name: "Create" }).click();
    await said(tab, "gw-0001 already exists.");
    await page.getByRole("button", { name: "Cancel" }).click();
  });

  it("of a TPM is made of its endorsement key, and refuses what is none", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    const { endorsementKey } = softTpm();
    await tab.visit("#/add-enrollment", "Add individual enrollment");
    await page.getByLabel("Registration id").fill("tpm-1");
    await page.getByRole("radio", { name: "TPM" }).check();
    await page.getByLabel("Endorsement key").fill("AToA");
    await page.getByRole("button", { name: "Create" }).click();
    const field = page.locator(".field.wrong", { hasText: "Endorsement key" });
    await field.waitFor();
    await tab.picture("enrollment-tpm-refused");
    await page.getByLabel("Endorsement key").fill(endorsementKey.replace(/.{64}/g, "$&\n"));
    await page.getByRole("button", { name: "Create" }).click();
    await arrive(tab, "tpm-1");
    await said(tab, endorsementKey);
    await tab.picture("enrollment-tpm");
  });

  it("is updated in everything but its attestation", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await tab.visit("#/enrollments/tpm-1", "tpm-1");
    expect(await page.getByRole("radio", { name: "X.509" }).count()).toBe(0);
    await said(tab, /delete the enrollment and create a new one/);
    const save = page.getByRole("button", { name: "Save", exact: true });
    expect(await save.isDisabled()).toBe(true);
    await page.getByLabel("Device id (optional)").fill("has space");
    await save.click();
    await said(tab, /^ ?1 to 128 of/);
    await page.getByLabel("Device id (optional)").fill("turbine");
    await page.getByRole("checkbox", { name: "IoT Edge" }).check();
    await page.getByRole("checkbox", { name: "Enabled" }).uncheck();
    await page.getByRole("radio", { name: "Never re-provision" }).check();
    await page.getByRole("radio", { name: "Custom" }).check();
    await page.getByLabel("Webhook URL").fill("http://plain.example/");
    await save.click();
    await said(tab, /starting with https/);
    await page.getByLabel("Webhook URL").fill("https://allocate.example/");
    await page.getByRole("checkbox", { name: "eu.azure-devices.net" }).check();
    const twin = page.getByLabel("Tags and desired properties");
    await twin.fill('{\n  "tags": { "plant": 7 },\n  "properties": { "desired": { "rate": 5, } }\n}');
    await said(tab, /Line 3, column 41: no comma after the last member/);
    await tab.picture("twin-mistake");
    await page.getByRole("button", { name: "Go there" }).click();
    await page.keyboard.press("Delete");
    await said(tab, "Valid JSON");
    await save.click();
    await said(tab, "Saved tpm-1.");
    expect((await service.operator("enrollment", "show", "tpm-1", "--json")).json).toMatchObject({
      deviceId: "turbine",
      capabilities: { iotEdge: true },
      provisioningStatus: "disabled",
      reprovisionPolicy: { updateHubAssignment: false },
      allocationPolicy: "custom",
      iotHubs: ["eu.azure-devices.net"],
      customAllocationDefinition: { webhookUrl: "https://allocate.example/" },
      initialTwin: { tags: { plant: 7 }, properties: { desired: { rate: 5 } } },
      attestation: { type: "tpm" },
    });
  });

  it("that somebody else changed meanwhile is merged, and nothing typed is lost", async () => {
    await service.enroll("/enrollments/shared", {
      registrationId: "shared",
      attestation: { type: "symmetricKey" },
      deviceId: "before",
    });
    await using tab = await browser.open(service);
    tab.expectStatus(412);
    const { page } = tab;
    await tab.visit("#/enrollments/shared", "shared");
    await page.getByLabel("Device id (optional)").fill("mine");
    await page.getByRole("checkbox", { name: "IoT Edge" }).check();
    await service.enroll("/enrollments/shared", {
      registrationId: "shared",
      attestation: { type: "symmetricKey" },
      deviceId: "theirs",
      provisioningStatus: "disabled",
    });
    const save = page.getByRole("button", { name: "Save", exact: true });
    await save.click();
    await said(tab, /somebody else changed this enrollment/);
    await said(tab, "Taken over from their version: Status.");
    await said(tab, /You both changed: Device id/);
    await tab.picture("enrollment-conflict");
    expect(await page.getByLabel("Device id (optional)").inputValue()).toBe("mine");
    expect(await page.getByRole("checkbox", { name: "Enabled" }).isChecked()).toBe(false);
    await save.click();
    await said(tab, "Saved shared.");
    expect((await service.operator("enrollment", "show", "shared", "--json")).json).toMatchObject({
      deviceId: "mine",
      capabilities: { iotEdge: true },
      provisioningStatus: "disabled",
    });
  });

  it("rolls its certificate: the next beside the present, then in its place", async () => {
    await using tab = await browser.open(service);
    tab.expectStatus(400);
    const { page } = tab;
    await tab.visit("#/enrollments/gw-0001", "gw-0001");
    const open = page.getByRole("button", { name: "Roll the certificate…" });
    const dialog = page.getByRole("dialog");
    const roll = dialog.getByRole("button", { name: "Roll", exact: true });
    await open.click();
    await roll.click();
    await said(tab, "Add the new certificate.");
    await certificateInput(tab, "New certificate").setInputFiles(pem(device("another")));
    await roll.click();
    await dialog
      .getByRole("alert")
      .getByText(/Its subject CN is "another"/)
      .waitFor();
    await dialog.getByRole("button", { name: "Remove the new certificate" }).click();
    await certificateInput(tab, "New certificate").setInputFiles(pem(device("gw-0001")));
    await dialog.getByText("No problems found.").waitFor();
    await tab.picture("certificate-roll");
    await roll.click();
    await dialog.waitFor({ state: "detached" });
    await said(tab, "Secondary certificate");
    const [, second] = await page
      .locator(".certificate code")
      .allTextContents()
      .then((all) => [all[0], all[2]]);

    await open.click();
    await dialog.getByRole("radio", { name: "Make the secondary the primary" }).check();
    await roll.click();
    await dialog.waitFor({ state: "detached" });
    await eventually(() => page.locator(".certificate").count()).toBe(1);
    expect(await page.locator(".certificate code").first().textContent()).toBe(second);
  });

  it("is deleted after its consequences were read, and not when it was changed meanwhile", async () => {
    await using tab = await browser.open(service);
    tab.expectStatus(412);
    const { page } = tab;
    await tab.visit("#/enrollments", "Individual enrollments");
    await page.getByRole("button", { name: "Delete shared" }).click();
    const dialog = page.getByRole("alertdialog");
    await dialog.getByText(/The next registration of this device is/).waitFor();
    await tab.picture("enrollment-delete");
    await service.enroll("/enrollments/shared", {
      registrationId: "shared",
      attestation: { type: "symmetricKey" },
    });
    await dialog.getByRole("button", { name: "Delete" }).click();
    await dialog.getByText(/it was changed meanwhile/).waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await page.reload();
    await page.getByRole("button", { name: "Delete shared" }).click();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await said(tab, "Deleted shared.");
    await page.getByRole("link", { name: "shared" }).waitFor({ state: "detached" });
  });

  it("that is not there says so", async () => {
    await using tab = await browser.open(service);
    tab.expectStatus(404);
    await tab.visit("#/enrollments/nobody", "nobody");
    await said(tab, /There is no individual enrollment “nobody”/);
  });
});

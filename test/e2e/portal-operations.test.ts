// Lists, registrations, hubs, scenarios and quotas in the portal, and how they move while one looks.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { groupOfKeys, register } from "../support/fleet-of-keys.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { openBrowser, type PortalBrowser, type PortalTab } from "../support/portal.ts";

let service: LocalService;
let browser: PortalBrowser;

beforeAll(async () => {
  service = await startService("--hub", "eu.azure-devices.net", "us.azure-devices.net");
  await service.enroll("/enrollmentGroups/presses", groupOfKeys("presses"));
  await service.enroll("/enrollmentGroups/orphans", groupOfKeys("orphans", { allocationPolicy: "static" }));
  browser = await openBrowser();
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

const said = ({ page }: PortalTab, text: string | RegExp) => page.getByText(text).first().waitFor();
/** The machine may be busy with other tests. */
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 10_000 });
const rows = ({ page }: PortalTab) => page.getByRole("rowheader").allTextContents();
const live = ({ page }: PortalTab) => page.getByText("Live", { exact: true }).waitFor();

const number = (index: number): string => `gw-${String(index).padStart(4, "0")}`;
const enroll = (id: string): Promise<void> =>
  service.enroll(`/enrollments/${id}`, { registrationId: id, attestation: { type: "symmetricKey" } });

describe("the list of enrollments", () => {
  it("is paged, searched and filtered by address, so that links and the back button work", async () => {
    for (let index = 0; index < 120; index += 1) await enroll(number(index));
    await service.enroll("/enrollments/off-1", {
      registrationId: "off-1",
      attestation: { type: "symmetricKey" },
      provisioningStatus: "disabled",
    });
    await using tab = await browser.open(service);
    const { page } = tab;
    await tab.visit("#/enrollments", "Individual enrollments");
    await eventually(() => rows(tab)).toHaveLength(50);
    const next = page.getByRole("button", { name: "Next" });
    await next.click();
    await said(tab, "Page 2");
    await eventually(async () => (await rows(tab))[0]).toBe(number(50));
    await next.click();
    await eventually(() => rows(tab)).toHaveLength(21);
    expect(await next.isDisabled()).toBe(true);
    await page.reload();
    await said(tab, "Page 3");
    await page.getByRole("button", { name: "Previous" }).click();
    await eventually(async () => (await rows(tab))[0]).toBe(number(50));
    await page.goBack();
    await said(tab, "Page 3");
    await page.getByRole("button", { name: "First page" }).click();
    await eventually(async () => (await rows(tab))[0]).toBe(number(0));

    await tab.visit(`#/enrollments?after=${number(29)}`);
    await eventually(async () => (await rows(tab))[0]).toBe(number(30));
    await next.click();
    await eventually(async () => (await rows(tab))[0]).toBe(number(80));
    await page.getByRole("button", { name: "Previous" }).click();
    await eventually(async () => (await rows(tab))[0]).toBe(number(30));
    await page.getByRole("button", { name: "First page" }).click();

    await page.getByLabel("Search by registration id").fill("011");
    await eventually(() => rows(tab)).toHaveLength(11);
    expect(page.url()).toContain("search=011");
    await page.getByLabel("Search by registration id").fill("nothing like it");
    await said(tab, "No individual enrollment matches.");
    await page.getByLabel("Search by registration id").fill("");
    await page.getByLabel("Status").selectOption("disabled");
    await eventually(() => rows(tab)).toEqual(["off-1"]);
    await tab.visit("#/enrollments?search=GW-0007");
    await eventually(() => rows(tab)).toEqual(["gw-0007"]);
    expect(await page.getByLabel("Search by registration id").inputValue()).toBe("GW-0007");
  });

  it("moves by itself on its first page, and only says what is new on others", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await live(tab);
    await tab.visit("#/enrollments", "Individual enrollments");
    await page.getByRole("link", { name: number(0) }).waitFor();
    await enroll("aa-first");
    await page.locator("tr.fresh", { hasText: "aa-first" }).waitFor();
    await page.getByRole("button", { name: "Next" }).click();
    await said(tab, "Page 2");
    await eventually(async () => (await rows(tab))[0]).toBe(number(49));
    await enroll("aa-second");
    await page.getByRole("button", { name: "1 new or changed · Reload" }).waitFor();
    expect((await rows(tab))[0]).toBe(number(49));
    await tab.picture("enrollments-unseen");
    await page.getByRole("button", { name: /Reload/ }).click();
    await page.getByRole("button", { name: /Reload/ }).waitFor({ state: "detached" });
  });
});

describe("a tab that nobody sees", () => {
  it("gives its connection back, and knows what it missed when it is looked at again", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await live(tab);
    await tab.visit("#/groups", "Enrollment groups");
    const turn = (state: "hidden" | "visible") =>
      page.evaluate(`Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true });
        document.dispatchEvent(new Event("visibilitychange"))`);
    await turn("hidden");
    await said(tab, "Not live");
    await service.enroll("/enrollmentGroups/meanwhile", groupOfKeys("meanwhile"));
    await turn("visible");
    await live(tab);
    await page.getByRole("link", { name: "meanwhile" }).waitFor();
  });
});

describe("registrations", () => {
  it("appear as devices register, and are counted and drawn", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await live(tab);
    await tab.visit("#/registrations", "Registrations");
    await said(tab, "No device has registered yet");
    expect(await register(service, "presses", "press-1", { board: "<b>7</b>" })).toBe(200);
    await page.getByRole("link", { name: "press-1" }).waitFor();
    await register(service, "orphans", "orphan-1");
    const failed = page.getByRole("row", { name: /orphan-1/ });
    await failed.getByText("failed").waitFor();
    await tab.picture("registrations-two");
    await page.getByLabel("Status").selectOption("failed");
    await eventually(() => rows(tab)).toEqual(["orphan-1"]);
    await tab.visit("#/overview", "Overview");
    await said(tab, "1 assigned");
    await said(tab, "1 failed");
    await register(service, "presses", "press-2");
    await said(tab, "2 assigned");
    expect(await page.getByRole("link", { name: "3 Registrations" }).count()).toBe(1);
    await page.getByRole("button", { name: "Copy id scope" }).click();
    expect(await page.evaluate("navigator.clipboard.readText()")).toBe(service.idScope);
    await page.getByRole("button", { name: "24 hours" }).click();
    await said(tab, "in the last 24 hours");
  });

  it("are shown in detail, and deleted after one has read what that means", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await tab.visit("#/registrations/press-1", "press-1");
    await said(tab, "first assignment");
    await said(tab, '{"board":"<b>7</b>"}');
    await page.getByRole("link", { name: "presses" }).waitFor();
    await tab.picture("registration");
    await page.getByRole("button", { name: "Delete…" }).click();
    const dialog = page.getByRole("alertdialog");
    await dialog.getByText(/It may still register/).waitFor();
    await tab.picture("registration-delete");
    await dialog.getByRole("button", { name: "Delete" }).click();
    await said(tab, "Deleted the registration of press-1.");
    await eventually(() => rows(tab)).not.toContain("press-1");
  });
});

describe("hubs", () => {
  it("are linked, weighted and unlinked, and what speaks against it has to be overruled", async () => {
    await using tab = await browser.open(service);
    tab.expectStatus(409, 400);
    const { page } = tab;
    await tab.visit("#/hubs", "Hubs");
    await page.getByRole("button", { name: "Link hub" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Link" }).click();
    await said(tab, /Enter the host name of the hub/);
    await dialog.getByLabel("Host name").fill("EU.azure-devices.net");
    await dialog.getByLabel("Weight").fill("0");
    await dialog.getByRole("button", { name: "Link" }).click();
    await said(tab, "This hub is already linked.");
    await said(tab, "A whole number from 1 to 1000.");
    await tab.picture("hub-mistakes");
    await dialog.getByLabel("Host name").fill("asia.azure-devices.net");
    await dialog.getByLabel("Weight").fill("3");
    await dialog.getByLabel("Latency (optional)").fill("120");
    await dialog.getByRole("button", { name: "Link" }).click();
    const asia = page.getByRole("row", { name: /asia/ });
    await asia.getByText("120 ms").waitFor();
    await asia.getByText("60 %").waitFor();

    await page.getByRole("button", { name: "Edit asia.azure-devices.net" }).click();
    await dialog.getByLabel("Latency (optional)").fill("");
    await dialog.getByRole("button", { name: "Save" }).click();
    await asia.getByText("not declared").waitFor();

    await service.enroll(
      "/enrollmentGroups/asia",
      groupOfKeys("asia", { allocationPolicy: "static", iotHubs: ["asia.azure-devices.net"] }),
    );
    await page.getByRole("button", { name: "Unlink asia.azure-devices.net" }).click();
    const question = page.getByRole("alertdialog");
    await question.getByRole("button", { name: "Unlink" }).click();
    await question.getByText(/1 enrollment names asia/).waitFor();
    await tab.picture("hub-unlink-refused");
    await question.getByRole("button", { name: "Unlink anyway" }).click();
    await asia.waitFor({ state: "detached" });
  });
});

describe("scenarios", () => {
  it("are set for everybody, shown in red everywhere, and cleared", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await tab.visit("#/scenarios", "Scenarios");
    await said(tab, "No scenario is active");
    await page.getByRole("button", { name: "Set scenario…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Scenario", { exact: true }).selectOption("throttle");
    await dialog.getByLabel("Retry-After").fill("-1");
    await dialog.getByRole("button", { name: "Set scenario" }).click();
    await said(tab, /A whole number from 0/);
    await dialog.getByLabel("Retry-After").fill("30");
    await dialog.getByLabel("Ends after (optional)").fill("2");
    await tab.picture("scenario-dialog");
    await dialog.getByRole("button", { name: "Set scenario" }).click();
    await said(tab, "The service misbehaves on purpose.");
    await tab.picture("scenario-active");
    await tab.visit("#/hubs", "Hubs");
    await said(tab, /Throttle, 30 seconds, 2 more times, for every device/);
    expect(await register(service, "presses", "press-9")).toBe(429);
    await said(tab, /1 more time,/);
    await page.getByRole("button", { name: "Clear the scenario for every device" }).click();
    await page.getByText("The service misbehaves on purpose.").waitFor({ state: "detached" });
    expect(await register(service, "presses", "press-9")).toBe(200);
  });

  it("are set for one enrollment, and marked in its list", async () => {
    await using tab = await browser.open(service);
    tab.expectStatus(404);
    const { page } = tab;
    await tab.visit("#/groups/presses", "presses");
    await page.getByRole("button", { name: "Set…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Scenario", { exact: true }).selectOption("malformed-json");
    await dialog.getByRole("button", { name: "Set scenario" }).click();
    await page.getByRole("button", { name: "Clear the scenario for presses" }).first().waitFor();
    await tab.visit("#/groups", "Enrollment groups");
    await page
      .getByRole("row", { name: /presses/ })
      .getByText("scenario")
      .waitFor();
    await tab.picture("groups-scenario");
    await tab.visit("#/scenarios", "Scenarios");
    await page
      .getByRole("row", { name: /presses/ })
      .getByRole("button")
      .click();
    await said(tab, "No scenario is active");

    await page.getByRole("button", { name: "Set scenario…" }).click();
    await dialog.getByRole("radio", { name: "One individual enrollment" }).check();
    await dialog.getByRole("button", { name: "Set scenario" }).click();
    await said(tab, "Enter the name of the enrollment.");
    await dialog.getByLabel("Registration id").fill("nobody");
    await dialog.getByRole("button", { name: "Set scenario" }).click();
    await dialog
      .getByRole("alert")
      .getByText(/Enrollment not found/)
      .waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
  });
});

describe("quotas", () => {
  it("are set and taken away", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await tab.visit("#/quotas", "Quotas");
    await page.getByLabel("Registrations per minute").fill("0");
    await page.getByRole("button", { name: "Save" }).click();
    await said(tab, /A whole number of at least 1/);
    await page.getByLabel("Registrations per minute").fill("600");
    await page.getByRole("button", { name: "Save" }).click();
    await said(tab, "Saved the quotas.");
    await page.reload();
    await eventually(() => page.getByLabel("Registrations per minute").inputValue()).toBe("600");
    await tab.picture("quotas");
    await page.getByLabel("Registrations per minute").fill("");
    await page.getByRole("button", { name: "Save" }).click();
    await said(tab, "Saved the quotas.");
  });
});

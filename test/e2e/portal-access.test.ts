// Who gets into the portal, and what is still there when the way to the service, or the session, was lost.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalService, startService } from "../support/local-service.ts";
import { openBrowser, ownerOf, type PortalBrowser, type PortalTab, signIn } from "../support/portal.ts";

let service: LocalService;
let browser: PortalBrowser;

beforeAll(async () => {
  service = await startService("--hub", "eu.azure-devices.net");
  await service.enroll("/enrollments/gw-1", {
    registrationId: "gw-1",
    attestation: { type: "symmetricKey" },
  });
  browser = await openBrowser();
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

const said = ({ page }: PortalTab, text: string | RegExp) => page.getByText(text).first().waitFor();
const deviceId = ({ page }: PortalTab) => page.getByLabel("Device id (optional)");

describe("the door of the portal", () => {
  it("opens to a key of a policy, and to nothing else", async () => {
    await using tab = await browser.open(service, { as: "nobody" });
    const { page } = tab;
    await page.getByRole("button", { name: "Sign in" }).click();
    await said(tab, "Enter the primary or secondary key of the policy.");
    await signIn(page, { ...ownerOf(service), key: Buffer.alloc(32).toString("base64") });
    await page.getByRole("alert").getByText("Not signed in").waitFor();
    await tab.picture("sign-in-refused");
    await signIn(page, ownerOf(service));
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Key").waitFor();
    await page.reload();
    await page.getByLabel("Key").waitFor();
  });

  it("opens to a link once, and leaves nothing of it in the address", async () => {
    await using first = await browser.open(service, { as: "nobody" });
    await first.page.goto(service.portal);
    await first.page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    expect(first.page.url()).not.toContain("token");
    await using second = await browser.open(service, { as: "nobody" });
    await second.page.goto(service.portal);
    await said(second, /The link did not let you in/);
  });

  it("shows a policy that may only read no more than it may do", async () => {
    await using owner = await browser.open(service);
    const policies = (await owner.page.evaluate(
      "fetch('/mooring/policies').then((answer) => answer.json())",
    )) as { name: string; primaryKey: string }[];
    const key = policies.find(({ name }) => name === "enrollmentread")?.primaryKey ?? "";
    await using tab = await browser.open(service, { as: { policy: "enrollmentread", key } });
    tab.expectStatus(403);
    const { page } = tab;
    await tab.visit("#/enrollments", "Individual enrollments");
    await page.getByRole("link", { name: "gw-1" }).waitFor();
    expect(await page.getByRole("link", { name: /Add/ }).count()).toBe(0);
    expect(await page.getByRole("button", { name: /Delete/ }).count()).toBe(0);
    await page.getByRole("link", { name: "gw-1" }).click();
    await page.getByRole("heading", { name: "gw-1", level: 1 }).waitFor();
    expect(await deviceId(tab).isDisabled()).toBe(true);
    expect(await page.getByRole("button", { name: "Save", exact: true }).count()).toBe(0);
    await said(tab, "The policy you signed in with may not see the keys.");
    await tab.visit("#/registrations", "Registrations");
    await said(tab, /The policy you signed in with does not allow it/);
  });
});

describe("what somebody typed", () => {
  it("is still there after a look at something else, until it is saved or discarded", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await tab.visit("#/enrollments/gw-1", "gw-1");
    await deviceId(tab).fill("unsaved");
    await page.getByRole("link", { name: "Hubs" }).click();
    await page.getByRole("heading", { name: "Hubs", level: 1 }).waitFor();
    await page.goBack();
    await said(tab, /what you typed earlier/);
    expect(await deviceId(tab).inputValue()).toBe("unsaved");
    await page.getByRole("button", { name: "Discard it" }).click();
    expect(await deviceId(tab).inputValue()).toBe("");
    await page.getByRole("link", { name: "Hubs" }).click();
    await page.goBack();
    await deviceId(tab).waitFor();
    expect(await page.getByText(/what you typed earlier/).count()).toBe(0);
  });

  it("outlives the end of the session", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await tab.visit("#/enrollments/gw-1", "gw-1");
    await deviceId(tab).fill("patient");
    await page.context().clearCookies();
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await said(tab, "The session has ended");
    await tab.picture("session-ended");
    await signIn(page, ownerOf(service));
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await deviceId(tab).inputValue()).toBe("patient");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await said(tab, "Saved gw-1.");
  });

  it("outlives a restart of the service, which is noticed and recovered from", async () => {
    await using tab = await browser.open(service);
    const { page } = tab;
    await page.getByText("Live", { exact: true }).waitFor();
    await tab.visit("#/enrollments/gw-1", "gw-1");
    await deviceId(tab).fill("steadfast");
    await service.stop();
    await said(tab, /The service cannot be reached/);
    await tab.picture("connection-lost");
    await service.restart();
    await said(tab, "The session has ended");
    await signIn(page, ownerOf(service));
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByText(/The service cannot be reached/).waitFor({ state: "detached" });
    await page.getByText("Live", { exact: true }).waitFor();
    expect(await deviceId(tab).inputValue()).toBe("steadfast");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await said(tab, "Saved gw-1.");
    // Lost connections are part of this test.
    expect(tab.takeComplaints().filter((text) => !text.includes("net::ERR_"))).toEqual([]);
  });
});

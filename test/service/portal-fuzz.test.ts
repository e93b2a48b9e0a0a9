// Browsers that say anything at all, and files that are anything at all: the portal answers, never fails, and does
// nothing that the person in front of it did not ask for.

import fc from "fast-check";
import { expect, it, onTestFinished } from "vitest";
import { reportCertificate } from "../../src/service/certificate-report.ts";
import { type Browser, host, openPortalCounter, type PortalCounter } from "./browser.ts";
import { certificateWorkshop } from "./certificates.ts";
import {
  type Bytes,
  body,
  bufferOf,
  bytesOf,
  effort,
  faultOf,
  fuzzTimeoutMs,
  headerText,
  spoiledBytes,
  text,
} from "./fuzzing.ts";

interface Forged {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Bytes;
}

const settings = { attestation: { type: "symmetricKey" } };
const changes: readonly (readonly [string, string, unknown])[] = [
  ["PUT", "/enrollments/gw-1?api-version=2021-10-01", settings],
  [
    "POST",
    "/enrollments?api-version=2021-10-01",
    { mode: "delete", enrollments: [{ registrationId: "kept" }] },
  ],
  ["DELETE", "/enrollments/kept?api-version=2021-10-01", undefined],
  ["PUT", "/mooring/hubs/evil.example", { allocationWeight: 1 }],
  ["POST", "/mooring/policies/provisioningserviceowner/rotate", { key: "primary" }],
  ["PUT", "/mooring/scenarios/service", { kind: "throttle" }],
  ["POST", "/mooring/portal-links", undefined],
  ["DELETE", "/portal/session", undefined],
  ["POST", "/portal/session", { policy: "provisioningserviceowner", key: "QUFB" }],
];

/** What another site may make a browser send: its cookies, and nothing that only our page can say or know. */
const forged: fc.Arbitrary<Forged> = fc
  .record({
    change: fc.constantFrom(...changes),
    host: fc.oneof({ weight: 3, arbitrary: fc.constant(host) }, text),
    origin: fc.option(
      fc.oneof(fc.constantFrom("null", "https://evil.example", `http://${host}`, "https://localhost"), text),
      { nil: undefined },
    ),
    site: fc.option(fc.constantFrom("cross-site", "same-site", "none", "x"), { nil: undefined }),
    csrf: fc.option(text, { nil: undefined }),
    type: fc.constantFrom("application/json", "text/plain", "application/x-www-form-urlencoded"),
  })
  .chain(({ change: [method, path, valid], host: asked, origin, site, csrf, type }) =>
    body(valid).map((payload) => ({
      method,
      path,
      payload,
      headers: {
        host: headerText(asked) || "x",
        "content-type": type,
        ...(origin !== undefined && { origin: headerText(origin) }),
        ...(site !== undefined && { "sec-fetch-site": site }),
        ...(csrf !== undefined && { "x-mooring-csrf": headerText(csrf) }),
      },
    })),
  );

/** `knowing` is what an attacker should not know. */
async function attack(
  { app, store, browser, enroll }: PortalCounter,
  knowing: (victim: Browser) => Record<string, string | undefined> = () => ({}),
): Promise<void> {
  enroll("kept", settings);
  const victim = browser();
  await victim.signIn();
  const [owner] = store.policies.all();
  const attempt = async ({ method, path, headers, payload }: Forged): Promise<void> => {
    const { statusCode } = await app.inject({
      method: method as "PUT",
      url: path,
      headers: { ...headers, cookie: victim.cookie, ...knowing(victim) },
      payload: bufferOf(payload),
    });
    expect(statusCode).toBeGreaterThanOrEqual(400);
    expect(statusCode).toBeLessThan(500);
  };
  await fc.assert(fc.asyncProperty(forged, attempt), effort(400));
  expect(store.enrollments.page({ limit: 9 })).toHaveLength(1);
  expect(store.hubs.get("evil.example")).toBeUndefined();
  expect(store.policies.all()[0]).toEqual(owner);
  expect((await victim.ask("GET", "/portal/session")).status).toBe(200);
}

it(
  "does nothing for a person that another site asks for in their name",
  async () => attack(await openPortalCounter()),
  fuzzTimeoutMs,
);

it("would do it for somebody who knew the token of the session", async () => {
  const counter = await openPortalCounter();
  const everything = ({ csrf }: Browser): Record<string, string | undefined> => ({
    host,
    origin: `https://${host}`,
    "sec-fetch-site": "same-origin",
    "x-mooring-csrf": csrf,
  });
  expect(await faultOf(attack(counter, everything))).toContain("Property failed");
});

it(
  "lets nobody in for a cookie that it did not set, and answers whatever it is asked",
  async () => {
    const { app, browser } = await openPortalCounter();
    const someone = browser();
    await someone.signIn();
    const [name = "", id = ""] = someone.cookie.split("=");
    const cookie = fc.oneof(
      text.map((each) => `${name}=${headerText(each)}`),
      spoiledBytes(fc.constant(bytesOf(Buffer.from(id))))
        .filter((each) => headerText(each).trim() !== id)
        .map((each) => `${name}=${headerText(each).replaceAll(/[;=]/g, "")}`)
        .filter((each) => each.split("=")[1]?.trim() !== id),
      text.map(headerText),
    );
    const path = fc.oneof(
      fc.constantFrom(
        "/mooring/overview",
        "/mooring/hubs",
        "/mooring/policies",
        "/portal/session",
        "/mooring/events",
      ),
      text.map((each) => `/portal/x${encodeURIComponent(each.toWellFormed())}`),
    );
    const attempt = async (sent: string, url: string): Promise<void> => {
      const { statusCode } = await app.inject({ method: "GET", url, headers: { host, cookie: sent } });
      expect([401, 404, 400, 414]).toContain(statusCode);
    };
    await fc.assert(fc.asyncProperty(cookie, path, attempt), effort(400));
  },
  fuzzTimeoutMs,
);

it(
  "reads any file that is said to be a certificate",
  () => {
    const workshop = certificateWorkshop();
    onTestFinished(() => workshop[Symbol.dispose]());
    const root = workshop.issue("/O=Acme/CN=root", { ca: true });
    const leaf = workshop.issue("/CN=gw-1", { by: root });
    const files = [leaf.der, Buffer.from(leaf.pem + root.pem), Buffer.from(leaf.der.toString("base64"))];
    const file = spoiledBytes(fc.constantFrom(...files).map(bytesOf));
    const attempt = (bytes: Bytes, use: "device" | "ca" | undefined): void => {
      const { certificates, problems } = reportCertificate(bufferOf(bytes), { use, now: Date.now() });
      expect(certificates.length + problems.length).toBeGreaterThan(0);
      expect(JSON.stringify(problems).length).toBeLessThan(20_000);
    };
    fc.assert(fc.property(file, fc.constantFrom("device", "ca", undefined), attempt), effort(1500));
  },
  fuzzTimeoutMs,
);

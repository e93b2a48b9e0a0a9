import { afterAll, describe, expect, it } from "vitest";
import { certificateWorkshop, type Issued } from "../certificates.ts";
import { type Ask, type Desk, openDesk } from "../desk.ts";

const workshop = certificateWorkshop();
afterAll(() => workshop[Symbol.dispose]());

const root = workshop.issue("/CN=Acme Root", { ca: true });
const intermediate = workshop.issue("/CN=Acme Plant 1", { by: root, ca: true });
const device = workshop.issue("/O=Acme/CN=gw-1", { by: intermediate });
const selfSigned = workshop.issue("/CN=gw-1");
const twinName = workshop.issue("/CN=gw-1");
const strangerRoot = workshop.issue("/CN=Acme Root", { ca: true });
const forged = workshop.issue("/CN=gw-1", { by: strangerRoot, keyIds: false });
const bareRoot = workshop.issue("/CN=Acme Root", { ca: true, keyIds: false });
const namesake = workshop.issue("/CN=Acme Root", { by: root, ca: true, keyIds: false });
const shortRoot = workshop.issue("/CN=Short", { ca: true, days: 2 });
const outlives = workshop.issue("/CN=gw-1", { by: shortRoot });
const notCa = workshop.issue("/CN=gw-0", { by: root });
const issuedByDevice = workshop.issue("/CN=gw-1", { by: notCa });

const individually = (primary: Issued, secondary?: Issued) => ({
  attestation: {
    type: "x509",
    x509: {
      clientCertificates: {
        primary: { certificate: primary.pem },
        ...(secondary && { secondary: { certificate: secondary.pem } }),
      },
    },
  },
});
const asGroup = (primary: Issued, secondary?: Issued) => ({
  attestation: {
    type: "x509",
    x509: {
      signingCertificates: {
        primary: { certificate: primary.pem },
        ...(secondary && { secondary: { certificate: secondary.pem } }),
      },
    },
  },
});
const show = (desk: Desk, chain: Issued[], ask: Partial<Ask> = {}) =>
  desk.ask({ registrationId: "gw-1", certificates: chain.map(({ der }) => der), ...ask });

const wait = { signal: new AbortController().signal };
const days = 24 * 3600_000;

describe("an enrolled certificate", () => {
  it.each([
    ["as the primary one", individually(selfSigned)],
    ["as the secondary one", individually(twinName, selfSigned)],
  ])("lets its device in %s", async (_, enrollment) => {
    const desk = openDesk();
    desk.enroll("gw-1", enrollment);
    expect((await show(desk, [selfSigned])).status).toBe(202);
    expect(desk.store.registrations.get("gw-1")).toMatchObject({ attestation: "x509", deviceId: "gw-1" });
    expect(desk.store.devices.get("hub.mooring.internal", "gw-1")?.authentication).toMatchObject({
      type: "selfSigned",
    });
  });

  it("is answered with an x509 member, as Azure's answers have it", async () => {
    const desk = openDesk({ retryAfterSeconds: 0 });
    desk.enroll("gw-1", individually(selfSigned));
    expect((await show(desk, [selfSigned])).body.registrationState).toMatchObject({
      x509: {},
      status: "assigned",
    });
  });

  it("is compared by its bytes, not by its name", async () => {
    const desk = openDesk();
    desk.enroll("gw-1", individually(selfSigned));
    expect((await show(desk, [twinName])).body).toMatchObject({ errorCode: 401002 });
  });

  it("is refused outside its validity", async () => {
    const desk = openDesk();
    desk.enroll("gw-1", individually(selfSigned));
    await desk.clock.sleep(31 * days, wait);
    expect((await show(desk, [selfSigned])).body).toMatchObject({
      errorCode: 401002,
      message: "Invalid certificate.",
    });
    await desk.clock.sleep(-62 * days, wait);
    expect((await show(desk, [selfSigned])).status).toBe(401);
  });

  it("does not help where a group would: the device's own enrollment decides", async () => {
    const desk = openDesk();
    desk.enrollGroup("plant", asGroup(root));
    desk.enroll("gw-1", individually(selfSigned));
    expect((await show(desk, [device, intermediate])).status).toBe(401);
  });
});

describe("a group of a CA", () => {
  it.each([
    ["the issuer, with the leaf alone", intermediate, [device]],
    ["the issuer, with the chain", intermediate, [device, intermediate, root]],
    ["the root, with the chain up to it", root, [device, intermediate]],
    ["the root, with the chain in disorder", root, [device, root, intermediate]],
  ])("lets in the devices of %s", async (_, ca, chain) => {
    const desk = openDesk();
    desk.enrollGroup("plant", asGroup(ca));
    expect((await show(desk, chain)).status).toBe(202);
    expect(desk.store.registrations.get("gw-1")).toMatchObject({ enrollmentGroupId: "plant" });
  });

  it("lets in the devices of its secondary CA", async () => {
    const desk = openDesk();
    desk.enrollGroup("plant", asGroup(strangerRoot, intermediate));
    expect((await show(desk, [device])).status).toBe(202);
  });

  it("has been given namesakes that no key identifier gives away", () => {
    const subjectKeyIdentifier = Buffer.from("0603551d0e", "hex");
    expect(root.der.includes(subjectKeyIdentifier)).toBe(true);
    for (const { der } of [forged, bareRoot, namesake])
      expect(der.includes(subjectKeyIdentifier)).toBe(false);
  });

  it.each<[string, Issued, Issued[], Partial<Ask>]>([
    ["the root alone is enrolled and the chain has a gap", root, [device], {}],
    ["the CA only bears the same name", strangerRoot, [device, intermediate], {}],
    ["the CA's twin is sent along", strangerRoot, [device, intermediate, strangerRoot], {}],
    ["the CA has the right name and signed something else", bareRoot, [forged], {}],
    ["an intermediate has the right name and signed something else", root, [forged, namesake], {}],
    ["the issuer may not issue", root, [issuedByDevice, notCa], {}],
    ["the certificate is of another device", intermediate, [device], { registrationId: "gw-2" }],
    ["no certificate is sent", intermediate, [], {}],
  ])("refuses when %s", async (_, ca, chain, ask) => {
    const desk = openDesk();
    desk.enrollGroup("plant", asGroup(ca));
    expect((await show(desk, chain, ask)).body).toMatchObject({ errorCode: 401002 });
  });

  it("lets nobody in when the CA itself has run out", async () => {
    const desk = openDesk();
    desk.enrollGroup("plant", asGroup(shortRoot));
    expect((await show(desk, [outlives])).status).toBe(202);
    await desk.clock.sleep(3 * days, wait);
    expect((await show(desk, [outlives])).body).toMatchObject({ errorCode: 401002 });
  });

  it("refuses bytes that are no certificate", async () => {
    const desk = openDesk();
    desk.enrollGroup("plant", asGroup(root));
    expect((await show(desk, [], { certificates: [Buffer.from("x")] })).body).toMatchObject({
      errorCode: 401002,
    });
  });

  /** The same certificate with some of its bytes replaced. */
  const spoilt = (issued: Issued, from: Buffer, to: Buffer): Issued => {
    const der = Buffer.from(issued.der);
    const at = der.indexOf(from);
    expect(at).toBeGreaterThan(0);
    to.copy(der, at);
    return { ...issued, der };
  };
  const utcTime = Buffer.from("170d", "hex");
  const ecPublicKey = Buffer.from("2a8648ce3d0201", "hex");
  const unknownKey = Buffer.from("2a8648ce3d0277", "hex");

  it.each<[string, Issued[]]>([
    ["dates that are none", [spoilt(device, utcTime, Buffer.from("170d2e2e", "hex")), intermediate]],
    ["an issuer of such dates", [device, spoilt(intermediate, utcTime, Buffer.from("170d2e2e", "hex"))]],
    ["an issuer with a key of an unknown kind", [device, spoilt(intermediate, ecPublicKey, unknownKey)]],
    ["a key of an unknown kind", [spoilt(device, ecPublicKey, unknownKey), intermediate]],
  ])("refuses %s, and does not fail", async (_what, chain) => {
    const desk = openDesk();
    desk.enrollGroup("acme", asGroup(root));
    expect(await show(desk, chain)).toMatchObject({ status: 401 });
    expect(await show(desk, [device, intermediate])).toMatchObject({ status: 202 });
  });

  it("yields to the group of a nearer CA, even when that one is disabled", async () => {
    const desk = openDesk();
    desk.enrollGroup("all", asGroup(root));
    desk.enrollGroup("plant", asGroup(intermediate));
    await show(desk, [device, intermediate]);
    expect(desk.store.registrations.get("gw-1")?.enrollmentGroupId).toBe("plant");
    desk.enrollGroup("plant", { ...asGroup(intermediate), provisioningStatus: "disabled" });
    expect((await show(desk, [device, intermediate])).body).toMatchObject({
      operationId: "",
      status: "disabled",
    });
  });

  it("has room for a CN in another case than the registration id", async () => {
    const desk = openDesk();
    desk.enrollGroup("plant", asGroup(intermediate));
    expect((await show(desk, [device], { registrationId: "GW-1" })).status).toBe(202);
  });

  it("lets nobody in when there is no group of a CA, nor an enrollment", async () => {
    expect((await show(openDesk(), [device, intermediate])).body).toMatchObject({ errorCode: 404201 });
  });
});

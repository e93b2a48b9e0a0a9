import { describe, expect, it } from "vitest";
import { rotateKey } from "../../src/service/policies.ts";
import { type Browser, builtPortal, host, openPortalCounter } from "./browser.ts";

const minute = 60_000;
const signal = new AbortController().signal;
const symmetric = { attestation: { type: "symmetricKey" } };
const put = "/enrollments/gw-1?api-version=2021-10-01";

async function openSignedIn() {
  const counter = await openPortalCounter();
  const browser = counter.browser();
  expect((await browser.signIn()).status).toBe(200);
  return { ...counter, browser };
}

const isIn = async (browser: Browser): Promise<boolean> =>
  (await browser.ask("GET", "/portal/session")).status === 200;

describe("the pages", () => {
  it("are shown to anybody, under headers that let nothing else in", async () => {
    const { browser } = await openPortalCounter();
    const { status, headers, text } = await browser().ask("GET", "/portal/");
    expect({ status, text }).toEqual({ status: 200, text: "<!doctype html>" });
    expect(headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "permissions-policy": expect.stringContaining("camera=()"),
      "cache-control": "no-cache",
    });
  });

  it("are kept by a browser for good when their name says what is inside", async () => {
    const { browser } = await openPortalCounter();
    const { headers } = await browser().ask("GET", "/portal/main-6U35BWGN.js");
    expect(headers["content-type"]).toBe("text/javascript; charset=utf-8");
    expect(headers["cache-control"]).toBe("public, max-age=31536000, immutable");
  });

  it("are not sent again to a browser that has them", async () => {
    const { browser } = await openPortalCounter();
    const first = await browser().ask("GET", "/portal/");
    const etag = String(first.headers["etag"]);
    const second = await browser().ask("GET", "/portal/", { headers: { "if-none-match": `"x", ${etag}` } });
    expect({ status: second.status, text: second.text }).toEqual({ status: 304, text: "" });
    const other = await browser().ask("GET", "/portal/", { headers: { "if-none-match": '"x"' } });
    expect(other.status).toBe(200);
  });

  it.each([
    "/portal/../package.json",
    "/portal/%2e%2e%2fpackage.json",
    "/portal/..%2f..%2fetc%2fpasswd",
    "/portal/%2e%2e/%2e%2e/etc/passwd",
    "/portal/index.html%00.js",
    "/portal/constructor",
    "/portal/__proto__",
    "/portal/assets/index.html",
  ])("hold nothing else: %s", async (path) => {
    const { browser } = await openPortalCounter();
    expect((await browser().ask("GET", path)).status).toBe(404);
  });

  it.each(["/portal/", "/portal/main-6U35BWGN.js", "/"])(
    "are not shown under a name that somebody else points here: %s",
    async (path) => {
      const { browser } = await openPortalCounter();
      const headers = { host: "evil.example:8443", accept: "text/html" };
      expect(await browser().ask("GET", path, { headers })).toMatchObject({
        status: 421,
        body: { message: expect.stringContaining("--hostname") },
      });
    },
  );

  it("say what to do when they were not built", async () => {
    const { browser } = await openPortalCounter({ portalDirectory: builtPortal({}) });
    expect(await browser().ask("GET", "/portal/")).toMatchObject({
      status: 404,
      body: { message: expect.stringContaining("npm run build") },
    });
  });

  it("are where a browser at the root is sent, and nobody else", async () => {
    const { browser } = await openPortalCounter();
    const accept = "text/html,application/xhtml+xml,*/*;q=0.8";
    expect(await browser().ask("GET", "/", { headers: { accept } })).toMatchObject({
      status: 302,
      headers: { location: "/portal/" },
    });
    for (const headers of [{}, { accept: "*/*" }, { accept: "application/json" }]) {
      expect((await browser().ask("GET", "/", { headers })).status).toBe(404);
    }
  });
});

describe("signing in", () => {
  it.each(["primaryKey", "secondaryKey"] as const)("takes the %s of a policy", async (which) => {
    const { browser, store, log } = await openPortalCounter();
    const [owner] = store.policies.all();
    const one = browser();
    const answer = await one.ask("POST", "/portal/session", {
      body: { policy: "provisioningserviceowner", key: owner?.[which] },
    });
    expect(answer).toMatchObject({
      status: 200,
      body: { policy: "provisioningserviceowner", permissions: { length: 5 }, csrf: expect.any(String) },
      headers: { "cache-control": "no-store" },
    });
    expect(String(answer.headers["set-cookie"])).toMatch(
      /^__Host-mooring-8443=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
    );
    expect((await one.ask("GET", "/portal/session")).body).toEqual(answer.body);
    expect((await one.ask("PUT", put, { body: symmetric })).status).toBe(200);
    expect(log.named("info")).toContain("portal.signed-in");
    expect(JSON.stringify(log.events)).not.toContain(one.csrf);
  });

  it("takes the token of a link, once", async () => {
    const { browser, portal } = await openPortalCounter();
    const token = portal.newLink(host).split("#token=")[1];
    const [one, other] = [browser(), browser()];
    expect((await one.ask("POST", "/portal/session", { body: { token } })).body).toMatchObject({
      policy: "provisioningserviceowner",
    });
    expect(await other.ask("POST", "/portal/session", { body: { token } })).toMatchObject({
      status: 401,
      body: { message: expect.stringContaining("used already") },
    });
    expect([await isIn(one), await isIn(other)]).toEqual([true, false]);
  });

  it("takes a link for ten minutes", async () => {
    const { browser, portal, clock } = await openPortalCounter();
    const tokens = [portal.newLink(host), portal.newLink(host)].map((link) => link.split("#token=")[1]);
    await clock.sleep(10 * minute - 1, { signal });
    expect((await browser().ask("POST", "/portal/session", { body: { token: tokens[0] } })).status).toBe(200);
    await clock.sleep(1, { signal });
    expect((await browser().ask("POST", "/portal/session", { body: { token: tokens[1] } })).status).toBe(401);
  });

  it("gives a link to whoever holds the owner's key, and to nobody with less", async () => {
    const { browser } = await openPortalCounter();
    const owner = browser();
    await owner.signIn();
    const { body } = await owner.ask("POST", "/mooring/portal-links");
    expect(body).toEqual({
      url: expect.stringMatching(/^https:\/\/localhost:8443\/portal\/#token=[\w-]{43}$/),
      expiresAtUtc: expect.stringMatching(/Z$/),
    });
    for (const policy of ["enrollmentread", "serviceconfig"]) {
      const other = browser();
      await other.signIn(policy);
      expect((await other.ask("POST", "/mooring/portal-links")).status).toBe(403);
    }
    expect((await browser().ask("POST", "/mooring/portal-links")).status).toBe(401);
  });

  it.each([
    { what: "another key", body: { policy: "provisioningserviceowner", key: "QUFB" }, status: 401 },
    { what: "an unknown policy", body: { policy: "constructor", key: "QUFB" }, status: 401 },
    { what: "no key", body: { policy: "provisioningserviceowner", key: "" }, status: 400 },
    { what: "a token that was never issued", body: { token: "x" }, status: 401 },
    { what: "a key that is no text", body: { policy: "provisioningserviceowner", key: [] }, status: 400 },
    { what: "nothing", body: undefined, status: 400 },
    { what: "no JSON", body: "{", status: 400 },
    { what: "far too much", body: { token: "x".repeat(5000) }, status: 413 },
  ])("refuses $what", async ({ body, status }) => {
    const { browser } = await openPortalCounter();
    const one = browser();
    const answer = await one.ask("POST", "/portal/session", body === undefined ? {} : { body });
    expect(answer.status).toBe(status);
    expect(answer.headers["set-cookie"]).toBeUndefined();
    expect(await isIn(one)).toBe(false);
  });

  it("has to wait after ten wrong keys, even with the right one", async () => {
    const { browser, clock } = await openPortalCounter();
    const wrong = { body: { policy: "provisioningserviceowner", key: "QUFB" } };
    for (let attempt = 0; attempt < 10; attempt++) {
      expect((await browser().ask("POST", "/portal/session", wrong)).status).toBe(401);
    }
    const one = browser();
    const refused = await one.signIn();
    expect(refused).toMatchObject({ status: 429, headers: { "retry-after": "6" } });
    await clock.sleep(6000, { signal });
    expect((await one.signIn()).status).toBe(200);
  });

  it("lets the holder of a link in, however often others were wrong", async () => {
    const { browser, portal } = await openPortalCounter();
    const wrong = { body: { policy: "provisioningserviceowner", key: "QUFB" } };
    for (let attempt = 0; attempt < 12; attempt++) await browser().ask("POST", "/portal/session", wrong);
    expect((await browser().signIn()).status).toBe(429);
    expect((await browser().ask("POST", "/portal/session", { body: { token: "x" } })).status).toBe(401);
    const token = portal.newLink(host).split("#token=")[1];
    expect((await browser().ask("POST", "/portal/session", { body: { token } })).status).toBe(200);
  });

  it("ends the session that the browser had before", async () => {
    const { browser } = await openSignedIn();
    const before = browser.cookie;
    await browser.signIn("enrollmentread");
    expect(browser.cookie).not.toBe(before);
    expect((await browser.ask("GET", "/portal/session", { headers: { cookie: before } })).status).toBe(401);
  });
});

describe("a session", () => {
  it("may do what its policy may, and no more", async () => {
    const { browser } = await openPortalCounter();
    const reader = browser();
    await reader.signIn("enrollmentread");
    expect((await reader.ask("GET", "/mooring/hubs")).status).toBe(200);
    expect((await reader.ask("PUT", put, { body: symmetric })).status).toBe(403);
    expect((await reader.ask("GET", "/mooring/policies")).status).toBe(403);
  });

  it("is nothing without its cookie, or with another one", async () => {
    const { browser } = await openSignedIn();
    const ask = (cookie: string | undefined) => browser.ask("GET", "/mooring/hubs", { headers: { cookie } });
    expect((await ask(browser.cookie)).status).toBe(200);
    expect((await ask(`a=b; ${browser.cookie}; c=d`)).status).toBe(200);
    expect((await ask(undefined)).status).toBe(401);
    expect((await ask(browser.cookie.replace(/.$/, (last) => (last === "A" ? "B" : "A")))).status).toBe(401);
    expect((await ask(browser.cookie.replace("__Host-", ""))).status).toBe(401);
  });

  const foreign: [string, Record<string, string | undefined>, number][] = [
    ["without the token of the session", { "x-mooring-csrf": undefined }, 403],
    ["with the token of another session", { "x-mooring-csrf": "x".repeat(43) }, 403],
    ["without its origin", { origin: undefined }, 403],
    ["from no origin", { origin: "null" }, 403],
    ["from another site", { origin: "https://evil.example" }, 403],
    ["from another port of this machine", { origin: "https://localhost:3000" }, 403],
    ["over plain HTTP", { origin: "http://localhost:8443" }, 403],
    ["that another site caused", { "sec-fetch-site": "cross-site" }, 403],
    ["that a neighbour of this site caused", { "sec-fetch-site": "same-site" }, 403],
    ["that was typed as an address", { "sec-fetch-site": "none" }, 403],
    ["under a name that somebody else points here", { host: "evil.example:8443" }, 421],
    ["under a name that looks like ours", { host: "localhost.evil.example:8443" }, 421],
    ["under a name with more in it", { host: "localhost@evil.example:8443" }, 421],
    ["under what is no name", { host: "::8443" }, 421],
    ["under another port, which has a cookie of its own", { host: "localhost:8444" }, 401],
  ];

  it.each(foreign)("is not there for a change %s", async (_what, headers, status) => {
    const { browser, store } = await openSignedIn();
    const origin = "host" in headers ? { origin: `https://${headers["host"]}` } : {};
    expect(
      (await browser.ask("PUT", put, { body: symmetric, headers: { ...origin, ...headers } })).status,
    ).toBe(status);
    expect(store.enrollments.get("gw-1")).toBeUndefined();
    expect((await browser.ask("PUT", put, { body: symmetric })).status).toBe(200);
  });

  it.each<[string, Record<string, string>, number]>([
    ["another site caused it", { "sec-fetch-site": "cross-site" }, 403],
    ["it comes under another name", { host: "evil.example:8443" }, 421],
    ["it is one of our own page", {}, 200],
    ["somebody typed the address", { "sec-fetch-site": "none" }, 200],
  ])("reads when %s: %o", async (_what, headers, status) => {
    const { browser } = await openSignedIn();
    expect((await browser.ask("GET", "/mooring/hubs", { headers })).status).toBe(status);
  });

  it("leaves programs with a SAS token alone, whatever else they send", async () => {
    const { browser } = await openSignedIn();
    const headers = { authorization: "SharedAccessSignature sr=x&sig=x&se=1&skn=x" };
    expect((await browser.ask("GET", "/mooring/hubs", { headers })).status).toBe(401);
  });

  it("ends when it was not used for an hour", async () => {
    const { browser, clock } = await openSignedIn();
    await clock.sleep(60 * minute - 1, { signal });
    expect(await isIn(browser)).toBe(true);
    await clock.sleep(60 * minute - 1, { signal });
    expect(await isIn(browser)).toBe(true);
    await clock.sleep(60 * minute, { signal });
    expect(await isIn(browser)).toBe(false);
  });

  it("ends after twelve hours, however much it is used", async () => {
    const { browser, clock } = await openSignedIn();
    for (let half = 1; half < 24; half++) {
      await clock.sleep(30 * minute, { signal });
      expect(await isIn(browser)).toBe(true);
    }
    await clock.sleep(30 * minute, { signal });
    expect(await isIn(browser)).toBe(false);
  });

  it("ends when the browser signs out, and the cookie with it", async () => {
    const { browser } = await openSignedIn();
    const { cookie } = browser;
    const answer = await browser.ask("DELETE", "/portal/session");
    expect(answer.status).toBe(204);
    expect(String(answer.headers["set-cookie"])).toContain("Max-Age=0");
    expect((await browser.ask("GET", "/portal/session", { headers: { cookie } })).status).toBe(401);
  });

  it("is not ended by another site", async () => {
    const { browser } = await openSignedIn();
    const { cookie } = browser;
    const headers = { "x-mooring-csrf": undefined, origin: "https://evil.example" };
    expect((await browser.ask("DELETE", "/portal/session", { headers })).status).toBe(403);
    expect((await browser.ask("GET", "/portal/session", { headers: { cookie } })).status).toBe(200);
  });

  it("ends when the key that opened it is rotated, and not with the other one", async () => {
    const { browser, store } = await openSignedIn();
    rotateKey(store, "provisioningserviceowner", { key: "secondary" });
    expect(await isIn(browser)).toBe(true);
    rotateKey(store, "provisioningserviceowner", { key: "primary" });
    expect(await isIn(browser)).toBe(false);
  });

  it("is one of two hundred at most: the one that was away longest has to sign in again", async () => {
    const { browser } = await openPortalCounter();
    const [first, second] = [browser(), browser()];
    await first.signIn();
    await second.signIn();
    expect(await isIn(first)).toBe(true);
    for (let more = 0; more < 199; more++) await browser().signIn();
    expect([await isIn(first), await isIn(second)]).toEqual([true, false]);
  });
});

describe("the names of a service", () => {
  it.each<[string, string, boolean]>([
    ["dps.example", "dps.example:8443", true],
    ["dps.example", "DPS.example", true],
    ["*.plant.example", "a.plant.example", true],
    ["*.plant.example", "a.b.plant.example", false],
    ["*.plant.example", "plant.example", false],
    ["2001:db8::1", "[2001:DB8::1]:8443", true],
    ["2001:DB8:0::0:1", "[2001:db8::1]", true],
    ["DPS.Example", "dps.example", true],
    ["192.0.2.1", "192.0.2.1", true],
    ["192.0.2.1", "192.0.2.2", false],
  ])("%s and a request for %s", async (name, asked, ours) => {
    const { browser } = await openPortalCounter({ names: [name] });
    const one = browser();
    const headers = { host: asked, origin: `https://${asked.toLowerCase()}` };
    const answer = await one.ask("POST", "/portal/session", { headers, body: { token: "x" } });
    expect(answer.status).toBe(ours ? 401 : 421);
  });
});

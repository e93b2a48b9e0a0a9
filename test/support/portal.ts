// The portal as people see it: in Debian's Chromium, against the built service. Every tab is watched: what the browser
// complains of, and whom else the page talks to, fails the test that opened it.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
  type Request,
} from "playwright-core";
import { expect } from "vitest";
import type { LocalService } from "./local-service.ts";

/** Where the pictures are, to be looked at. */
export const pictures = resolve("test-results/portal");

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];

export interface PortalBrowser extends AsyncDisposable {
  open(service: LocalService, options?: TabOptions): Promise<PortalTab>;
}

interface TabOptions {
  readonly scheme?: "light" | "dark";
  readonly size?: { readonly width: number; readonly height: number };
  /** Whom to sign in as, by default the policy that may do everything; `nobody` stays at the door. */
  readonly as?: { readonly policy: string; readonly key: string } | "nobody";
  /** Lets a test do what the page's own rules forbid. */
  readonly lawless?: boolean;
}

export interface PortalTab extends AsyncDisposable {
  readonly page: Page;
  /** Goes to a view and waits for its heading. */
  visit(hash: string, heading?: string): Promise<void>;
  /** What the browser complained of so far; this tab is not held responsible for it. */
  takeComplaints(): string[];
  /** Answers of these statuses are part of the test. */
  expectStatus(...statuses: readonly number[]): void;
  /** Waits until the page has what it asked for. */
  settle(): Promise<void>;
  picture(name: string): Promise<void>;
}

export const wide = { width: 1280, height: 860 };
export const narrow = { width: 360, height: 740 };

export async function openBrowser(): Promise<PortalBrowser> {
  const profile = mkdtempSync(join(tmpdir(), "mooring-browser-"));
  mkdirSync(pictures, { recursive: true });
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [...flags, ...quiet],
    // What it leaves in a temporary directory is ours to remove.
    env: { ...process.env, TMPDIR: profile, HOME: profile },
  });
  const cookies = new Map<string, Cookies>();
  return {
    open: (service, options = {}) => openTab(browser, cookies, service, options),
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** Of who is signed in already, by service and policy. */
type Cookies = Awaited<ReturnType<BrowserContext["cookies"]>>;

async function openTab(
  browser: Browser,
  cookies: Map<string, Cookies>,
  service: LocalService,
  { scheme = "light", size = wide, as = ownerOf(service), lawless = false }: TabOptions,
): Promise<PortalTab> {
  const origin = `https://localhost:${service.httpsPort}`;
  const options: BrowserContextOptions = {
    baseURL: origin,
    ignoreHTTPSErrors: true,
    colorScheme: scheme,
    viewport: size,
    locale: "en-GB",
    timezoneId: "UTC",
    bypassCSP: lawless,
    permissions: ["clipboard-read", "clipboard-write"],
  };
  const context = await browser.newContext(options);
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  // Whoever opens the page is asked who they are.
  const expected = new Set([401]);
  page.on("console", (message) => {
    const [, status] = /^Failed to load resource: .* status of (\d+)/.exec(message.text()) ?? [];
    if (status !== undefined && expected.has(Number(status))) return;
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  const underWay = new Set<Request>();
  page.on("request", (request) => {
    if (!request.url().endsWith("/mooring/events")) underWay.add(request);
  });
  page.on("requestfinished", (request) => underWay.delete(request));
  page.on("requestfailed", (request) => underWay.delete(request));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin && url.protocol !== "data:")
      complaints.push(`foreign request to ${url.origin}`);
  });
  if (as === "nobody") {
    await page.goto("/portal/");
    await page.getByRole("button", { name: "Sign in" }).waitFor();
  } else {
    const who = `${origin} ${as.policy}`;
    await context.addCookies(cookies.get(who) ?? []);
    await page.goto("/portal/");
    if (!cookies.has(who)) await signIn(page, as);
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    cookies.set(who, await context.cookies());
  }
  return {
    page,
    takeComplaints: () => complaints.splice(0),
    visit: async (hash, heading) => {
      await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
      if (heading) await page.getByRole("heading", { name: heading, level: 1, exact: true }).waitFor();
    },
    settle: async () => {
      const frames =
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))";
      do await page.evaluate(frames);
      while (underWay.size > 0);
    },
    expectStatus: (...statuses) => {
      for (const status of statuses) expected.add(status);
    },
    picture: async (name) => {
      await page.evaluate("document.fonts.ready.then(() => {})");
      await page.screenshot({ path: join(pictures, `${name}.png`), animations: "disabled" });
    },
    [Symbol.asyncDispose]: async () => {
      await context.close();
      expect(complaints).toEqual([]);
    },
  };
}

export async function signIn(page: Page, { policy, key }: { policy: string; key: string }): Promise<void> {
  await page.getByLabel("Policy").fill(policy);
  await page.getByLabel("Key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** The policy that may do everything. */
export function ownerOf({ connectionString }: LocalService): { policy: string; key: string } {
  const [, policy = "", key = ""] =
    /SharedAccessKeyName=([^;]+);SharedAccessKey=(.+)$/.exec(connectionString) ?? [];
  return { policy, key };
}

// What can be measured of whether everybody can use a page.

import type { Page } from "playwright-core";

const controls = new Set([
  ...["button", "checkbox", "combobox", "link", "listbox", "menuitem", "option", "radio"],
  ...["searchbox", "slider", "spinbutton", "switch", "tab", "textbox"],
]);

interface AccessibilityNode {
  readonly ignored: boolean;
  readonly nodeId: string;
  readonly role?: { readonly value?: string };
  readonly name?: { readonly value?: string };
}

/** Controls that a screen reader would read out without saying what they are for, by role. */
export async function namelessControls(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = (await session.send("Accessibility.getFullAXTree")) as {
    nodes: readonly AccessibilityNode[];
  };
  await session.detach();
  return nodes
    .filter(({ ignored, role }) => !ignored && controls.has(role?.value ?? ""))
    .filter(({ name }) => (name?.value ?? "").trim() === "")
    .map(({ role, nodeId }) => `${role?.value} ${nodeId}`);
}

/** Texts whose contrast is below WCAG's AA, with the ratio. Disabled controls need none. */
export const faintTexts = (page: Page): Promise<string[]> => page.evaluate(contrastScript);

/** Whether one has to scroll sideways. */
export const overflows = (page: Page): Promise<boolean> =>
  page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");

/** Runs in the browser, where colours are painted over one another up the tree. */
const contrastScript = `(() => {
  const parse = (text) => {
    const [r = 0, g = 0, b = 0, a = 1] = (text.match(/[\\d.]+/g) ?? []).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below) => {
    const mix = (x, y) => x * top.a + y * (1 - top.a);
    return { r: mix(top.r, below.r), g: mix(top.g, below.g), b: mix(top.b, below.b), a: 1 };
  };
  const groundOf = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.a > 0) layers.push(colour);
      if (colour.a === 1) break;
    }
    return layers.reduceRight((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  const luminance = ({ r, g, b }) => {
    const linear = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  const faint = new Set();
  const walker = document.createTreeWalker(document.querySelector("dialog") ?? document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || element.closest(":disabled, .unseen, option") || !element.checkVisibility()) continue;
    const ground = groundOf(element);
    const [one, other] = [luminance(over(parse(getComputedStyle(element).color), ground)), luminance(ground)];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) faint.add(node.textContent.trim().slice(0, 40) + " " + ratio.toFixed(2));
  }
  return [...faint];
})()`;

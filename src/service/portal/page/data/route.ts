// Where the page is: everything after # in the address, so that every view can be linked to and the back button works.

import { useEffect, useState } from "preact/hooks";

export interface Route {
  /** Decoded segments: `#/groups/plant-7?x=1` is `["groups", "plant-7"]`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return {
    path: path.split("/").filter(Boolean).map(decoded),
    query: new URLSearchParams(query),
  };
}

/** A damaged link leads to a place that is not there, not to a blank page. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** Empty and absent parameters are left out. */
export function hrefOf(path: readonly string[], query: Record<string, string | undefined> = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) parameters.set(name, value);
  const text = parameters.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text === "" ? "" : `?${text}`}`;
}

export interface Going {
  /** Takes the place of the present entry of the history. */
  readonly replace?: boolean;
  /** Kept with the entry of the history, and there again after a reload. */
  readonly state?: unknown;
}

const moved = new EventTarget();

export function go(href: string, { replace = false, state = null }: Going = {}): void {
  if (replace) history.replaceState(state, "", href);
  else history.pushState(state, "", href);
  moved.dispatchEvent(new Event("moved"));
}

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const follow = () => setHash(location.hash);
    // A link is followed by the browser itself; go() and the back button between its entries come as the others.
    window.addEventListener("hashchange", follow);
    window.addEventListener("popstate", follow);
    moved.addEventListener("moved", follow);
    return () => {
      window.removeEventListener("hashchange", follow);
      window.removeEventListener("popstate", follow);
      moved.removeEventListener("moved", follow);
    };
  }, []);
  return parseRoute(hash);
}

// How many devices each hub has, as bars that a screen reader reads as a list.

import type { JSX } from "preact";
import { useLiveBursts } from "../data/live.ts";
import { useLoad } from "../data/load.ts";
import { fetchStatistics } from "../data/management-calls.ts";
import { hrefOf } from "../data/route.ts";

const shown = 8;

export function DevicesPerHub(): JSX.Element {
  const { value, failure, reload } = useLoad((signal) => fetchStatistics(1, signal), []);
  useLiveBursts(["hub", "registration"], reload);
  const sorted = [...(value?.hubs ?? [])].sort((one, other) => other.devices - one.devices);
  const most = Math.max(1, ...sorted.map(({ devices }) => devices));
  return (
    <section class="card" aria-labelledby="per-hub">
      <h2 id="per-hub">Devices per hub</h2>
      {failure && <p class="mistake">{failure.message}</p>}
      <ul class="bars">
        {sorted.slice(0, shown).map(({ hostName, devices }) => (
          <li key={hostName}>
            <span class="bar-name" title={hostName}>
              {hostName}
            </span>
            <svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
              <rect class="bar-room" width="100" height="10" />
              <rect class="bar-part" width={(100 * devices) / most} height="10" />
            </svg>
            <span class="bar-count">{devices.toLocaleString()}</span>
          </li>
        ))}
      </ul>
      {sorted.length > shown && (
        <p>
          <a href={hrefOf(["hubs"])}>All {sorted.length} hubs</a>
        </p>
      )}
    </section>
  );
}

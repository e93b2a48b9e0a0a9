// The picture of registrations over time, and how far back it looks.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { useLiveBursts } from "../data/live.ts";
import { useLoad } from "../data/load.ts";
import { fetchStatistics } from "../data/management-calls.ts";
import type { Statistics } from "../data/records.ts";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { type Bar, RegistrationChart } from "./registration-chart.tsx";

const spans = [
  { minutes: 60, label: "1 hour", minutesPerBar: 1 },
  { minutes: 6 * 60, label: "6 hours", minutesPerBar: 5 },
  { minutes: 24 * 60, label: "24 hours", minutesPerBar: 20 },
] as const;

export function RegistrationsOverTime(): JSX.Element {
  const [span, setSpan] = useState<(typeof spans)[number]>(spans[0]);
  const { value, failure, reload } = useLoad(
    (signal) => fetchStatistics(span.minutes, signal),
    [String(span.minutes)],
  );
  useLiveBursts(["registration"], reload);
  const bars = useMemo(() => value && barsOf(value, span), [value, span]);
  const assigned = bars?.reduce((sum, bar) => sum + bar.assigned, 0) ?? 0;
  const failed = bars?.reduce((sum, bar) => sum + bar.failed, 0) ?? 0;
  return (
    <section class="card" aria-labelledby="over-time">
      <div class="row spread">
        <h2 id="over-time">Registrations</h2>
        <fieldset class="segments" aria-label="How far back">
          {spans.map((each) => (
            <button
              key={each.minutes}
              type="button"
              aria-pressed={each === span}
              onClick={() => setSpan(each)}
            >
              {each.label}
            </button>
          ))}
        </fieldset>
      </div>
      {failure && <FailureNotice failure={failure} title="The statistics could not be loaded" />}
      {bars && <RegistrationChart bars={bars} />}
      <p class="legend">
        <span class="key assigned" /> {assigned.toLocaleString()} assigned
        <span class="key failed" /> {failed.toLocaleString()} failed
        <span class="hint"> in the last {span.label.replace(/^1 /, "")}</span>
      </p>
    </section>
  );
}

const minuteMs = 60_000;

/** Every bar of the span is there, also where nothing happened. */
function barsOf({ registrations }: Statistics, { minutes, minutesPerBar }: (typeof spans)[number]): Bar[] {
  const width = minutesPerBar * minuteMs;
  const last = Math.floor(Date.now() / width) * width;
  const bars = Array.from({ length: minutes / minutesPerBar }, (_, index) => ({
    at: last - (minutes / minutesPerBar - 1 - index) * width,
    assigned: 0,
    failed: 0,
  }));
  const first = bars[0]?.at ?? 0;
  for (const { at, assigned, failed } of registrations) {
    const bar = bars[Math.floor((new Date(at).getTime() - first) / width)];
    if (!bar) continue;
    bar.assigned += assigned;
    bar.failed += failed;
  }
  return bars;
}

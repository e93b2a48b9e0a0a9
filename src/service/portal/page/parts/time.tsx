// A moment, as long ago for the eye and exactly on demand.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

const minuteMs = 60_000;

export function Ago({ at }: { readonly at: string | undefined }): JSX.Element {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), minuteMs / 2);
    return () => clearInterval(timer);
  }, []);
  if (at === undefined) return <>never</>;
  return (
    <time dateTime={at} title={exact.format(new Date(at))}>
      {agoWords(Date.parse(at), Math.max(now, Date.now()))}
    </time>
  );
}

function agoWords(at: number, now: number): string {
  const minutes = Math.round((at - now) / minuteMs);
  if (minutes > -1) return "just now";
  if (minutes > -60) return relative.format(minutes, "minute");
  if (minutes > -60 * 24) return relative.format(Math.round(minutes / 60), "hour");
  if (minutes > -60 * 24 * 14) return relative.format(Math.round(minutes / 60 / 24), "day");
  return day.format(at);
}

export const Moment = ({ at }: { readonly at: string | undefined }): JSX.Element =>
  at === undefined ? <>never</> : <time dateTime={at}>{exact.format(new Date(at))}</time>;

export const Day = ({ at }: { readonly at: string }): JSX.Element => (
  <time dateTime={at} title={exact.format(new Date(at))}>
    {day.format(new Date(at))}
  </time>
);

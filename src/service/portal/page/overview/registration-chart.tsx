// Registrations over time: bars of what was assigned, with what failed on top. The same numbers are told in words,
// because a canvas tells nothing to those who cannot see it.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";

/** One bar: ms since 1970, and how many. */
export interface Bar {
  readonly at: number;
  readonly assigned: number;
  readonly failed: number;
}

export function RegistrationChart({ bars }: { readonly bars: readonly Bar[] }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<UPlot | undefined>(undefined);

  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const draw = (): void => {
      chart.current?.destroy();
      chart.current = new UPlot(optionsFor(element), dataOf(bars), element);
    };
    draw();
    // A canvas does not follow the colours of the page.
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    const resized = new ResizeObserver(() => chart.current?.setSize(sizeOf(element)));
    resized.observe(element);
    return () => {
      scheme.removeEventListener("change", draw);
      resized.disconnect();
      chart.current?.destroy();
      chart.current = undefined;
    };
    // Later bars come by setData.
  }, []);
  useEffect(() => chart.current?.setData(dataOf(bars)), [bars]);

  return <div ref={place} class="chart" aria-hidden="true" />;
}

const sizeOf = ({ clientWidth: width, clientHeight: height }: HTMLElement) => ({ width, height });

/** The failed are drawn from zero to the sum, and the assigned over them: so they look stacked. */
const dataOf = (bars: readonly Bar[]): UPlot.AlignedData => [
  bars.map(({ at }) => at / 1000),
  bars.map(({ assigned, failed }) => assigned + failed),
  bars.map(({ assigned }) => assigned),
];

function optionsFor(element: HTMLElement): UPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const bars = UPlot.paths.bars?.({ size: [0.8, 24], radius: 0.15 });
  const axis = {
    stroke: colour("muted"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
    font: `12px ${style.fontFamily}`,
  };
  const series = (label: string, fill: string): UPlot.Series => ({
    label,
    fill: colour(fill),
    width: 0,
    points: { show: false },
    ...(bars && { paths: bars }),
  });
  return {
    ...sizeOf(element),
    padding: [8, 24, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      // Half a bar at either end, or the first and the last are cut.
      x: { range: ({ data: [times] }, first, last) => [first - halfBar(times), last + halfBar(times)] },
      y: { range: (_chart, _least, most) => [0, Math.max(4, Math.ceil(most * 1.1))] },
    },
    axes: [
      { ...axis, grid: { show: false }, values: clock, space: 70, size: 30 },
      {
        ...axis,
        size: 44,
        space: 44,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000],
      },
    ],
    series: [{}, series("failed", "bad"), series("assigned", "accent")],
  };
}

const halfBar = ([first = 0, second = first]: ArrayLike<number> & Iterable<number>): number =>
  (second - first) / 2;

const clockWords = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const clock = (_chart: UPlot, seconds: number[]): string[] =>
  seconds.map((each) => clockWords.format(each * 1000));

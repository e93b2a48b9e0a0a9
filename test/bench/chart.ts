// Charts as SVG, for readers of the README: lines over a scale, and bars beside one another. Readable on light and
// dark pages, and without colour: every line and bar has its name at it.

interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** A limit, and not a measurement. */
  readonly dashed?: boolean;
  /** Where the name is: beside the chart, or above or below the line's beginning. */
  readonly nameAt?: "end" | "above" | "below";
}

export interface LineChart {
  readonly title: string;
  /** What the axes count, such as "minutes" and "requests per minute". */
  readonly x: string;
  readonly y: string;
  readonly lines: readonly Line[];
  /** Powers of ten are equally far from one another; the axis then begins at the smallest value. */
  readonly logarithmicX?: boolean;
  readonly logarithmicY?: boolean;
}

export interface BarChart {
  readonly title: string;
  /** What the bars count. */
  readonly unit: string;
  readonly bars: readonly { readonly name: string; readonly value: number }[];
}

const width = 760;
const plot = { left: 70, right: 600, top: 52, bottom: 320 };

export function lineChart(chart: LineChart): string {
  const points = chart.lines.flatMap((line) => line.points);
  const x = axis(
    points.map(([value]) => value),
    chart.logarithmicX === true,
    [plot.left, plot.right],
  );
  const y = axis(
    points.map(([, value]) => value),
    chart.logarithmicY === true,
    [plot.bottom, plot.top],
  );
  const atEnd = chart.lines.filter(({ nameAt = "end" }) => nameAt === "end");
  const labels = spreadApart(atEnd.map(({ points }) => y.at(points.at(-1)?.[1] ?? 0)));
  return svg(370, chart.title, [
    ...y.ticks.map(
      (value) =>
        `<path class="grid" d="M${plot.left} ${y.at(value)}H${plot.right}"/>` +
        `<text x="${plot.left - 8}" y="${y.at(value) + 4}" text-anchor="end">${short(value)}</text>`,
    ),
    ...x.ticks.map(
      (value) =>
        `<text x="${x.at(value)}" y="${plot.bottom + 20}" text-anchor="middle">${short(value)}</text>`,
    ),
    `<text x="${plot.right}" y="${plot.bottom + 40}" text-anchor="end">${escaped(chart.x)}</text>`,
    `<text x="12" y="${plot.top - 12}">${escaped(chart.y)}</text>`,
    ...chart.lines.map((line, n) => {
      const { name, points, dashed, nameAt = "end" } = line;
      const path = points.map(([px, py], at) => `${at === 0 ? "M" : "L"}${x.at(px)} ${y.at(py)}`).join("");
      const start = y.at(points[0]?.[1] ?? 0);
      const place = {
        end: [plot.right + 10, (labels[atEnd.indexOf(line)] ?? 0) + 4],
        above: [plot.left + 10, start - 8],
        below: [plot.left + 10, start + 19],
      }[nameAt];
      const label = `<text class="of${n % 4}" x="${place[0]}" y="${place[1]}">${escaped(name)}</text>`;
      return `<path class="line s${n % 4}"${dashed ? ' stroke-dasharray="6 5"' : ""} d="${path}"/>${label}`;
    }),
  ]);
}

export function barChart({ title, unit, bars }: BarChart): string {
  const rowHeight = 30;
  const left = 290;
  const most = Math.max(...bars.map(({ value }) => value));
  return svg(70 + bars.length * rowHeight, title, [
    `<text x="12" y="46">${escaped(unit)}</text>`,
    ...bars.map(({ name, value }, n) => {
      const y = 56 + n * rowHeight;
      const length = round((value / most) * (width - left - 90));
      return (
        `<text x="${left - 10}" y="${y + 16}" text-anchor="end">${escaped(name)}</text>` +
        `<rect class="f0" x="${left}" y="${y + 2}" width="${length}" height="20" rx="2"/>` +
        `<text x="${left + length + 8}" y="${y + 16}">${short(value)}</text>`
      );
    }),
  ]);
}

interface Axis {
  readonly ticks: readonly number[];
  /** Where a value is in the picture. */
  at(value: number): number;
}

function axis(values: readonly number[], logarithmic: boolean, [from, to]: readonly [number, number]): Axis {
  const place = (share: number): number => round(from + share * (to - from));
  if (logarithmic) {
    const low = Math.floor(Math.log10(Math.min(...values)));
    const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
    const ticks = Array.from({ length: high - low + 1 }, (_, n) => 10 ** (low + n));
    return { ticks, at: (value) => place((Math.log10(value) - low) / (high - low)) };
  }
  const most = Math.max(...values, Number.MIN_VALUE);
  const step = roundStep(most / 4);
  const top = Math.ceil(most / step) * step;
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, n) => n * step);
  return { ticks, at: (value) => place(value / top) };
}

/** The next of 1, 2 and 5 times a power of ten. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return (([1, 2, 5] as const).find((factor) => factor * power >= least) ?? 10) * power;
}

/** Names at the ends of lines do not cover one another. */
function spreadApart(places: readonly number[]): number[] {
  const result = [...places];
  const order = places.map((_, n) => n).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
  for (const [rank, n] of order.entries()) {
    const above = result[order[rank - 1] ?? -1];
    if (above !== undefined) result[n] = Math.max(result[n] ?? 0, above + 16);
  }
  return result;
}

function svg(height: number, title: string, content: readonly string[]): string {
  const colours = ["#0b62c4", "#c2410c", "#4d7c0f", "#7e22ce"];
  const inTheDark = ["#6cb0ff", "#ff9a5c", "#a6d65a", "#d0a1ff"];
  const series = (palette: readonly string[]): string =>
    palette.map((c, n) => `.s${n}{stroke:${c}}.f${n},.of${n}{fill:${c}}`).join("");
  const style =
    "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:15px}" +
    `.grid{stroke:#8884;stroke-width:1}.line{fill:none;stroke-width:2.5}${series(colours)}` +
    `@media(prefers-color-scheme:dark){text{fill:#e6edf3}${series(inTheDark)}}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">
<style>${style}</style>
<text class="title" x="12" y="22">${escaped(title)}</text>
${content.join("\n")}
</svg>
`;
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

const round = (value: number): number => Math.round(value * 10) / 10;

/** 1200 as 1,200, a million as 1M, and 0.0312 as 0.031. */
const short = (value: number): string =>
  new Intl.NumberFormat("en", {
    ...(value >= 1e6 && { notation: "compact" }),
    ...(value >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 2 }),
  }).format(value);

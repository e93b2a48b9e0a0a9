import { describe, expect, it } from "vitest";
import { barChart, lineChart } from "./chart.ts";

const yOf = (svg: string, text: string): number =>
  Number(new RegExp(`y="([\\d.]+)"[^>]*>${text}<`).exec(svg)?.[1] ?? Number.NaN);

describe("a line chart", () => {
  const chart = {
    title: "Requests <of> 10,000 gateways",
    ...{ x: "minutes", y: "requests per minute" },
    lines: [
      {
        name: "ours",
        points: [
          [0, 0],
          [5, 400],
          [10, 900],
        ],
      },
      {
        name: "naive",
        points: [
          [0, 1000],
          [10, 900],
        ],
      },
      {
        name: "quota",
        points: [
          [0, 1000],
          [10, 1000],
        ],
        dashed: true,
      },
    ],
  } as const;

  it("draws every line from left to right inside of its axes", () => {
    const svg = lineChart(chart);
    const paths = [...svg.matchAll(/class="line[^>]* d="M([^"]+)"/g)].map(([, path = ""]) =>
      path.split("L").map((point) => point.split(" ").map(Number)),
    );
    expect(paths).toHaveLength(3);
    expect(paths[0]?.map(([x]) => x)).toEqual([70, 335, 600]);
    expect(paths[0]?.[0]?.[1]).toBe(320);
    expect(paths[2]?.[0]?.[1]).toBe(52);
  });

  it("keeps the names of lines that end close together apart, and its text out of the markup", () => {
    const svg = lineChart(chart);
    expect(Math.abs(yOf(svg, "ours") - yOf(svg, "naive"))).toBeGreaterThanOrEqual(16);
    expect(svg).toContain("Requests &lt;of> 10,000 gateways");
  });

  it("has a tick for each power of ten on a logarithmic axis", () => {
    const svg = lineChart({
      ...{ title: "t", x: "enrollments", y: "ms", logarithmicX: true },
      lines: [
        {
          name: "page",
          points: [
            [1000, 2],
            [100_000, 3],
          ],
        },
      ],
    });
    for (const tick of ["1,000", "10,000", "100,000"]) expect(svg).toContain(`>${tick}<`);
  });
});

describe("a bar chart", () => {
  it("gives each bar its length, name and value", () => {
    const svg = barChart({
      title: "t",
      unit: "per second",
      bars: [
        { name: "HTTPS", value: 1200 },
        { name: "MQTT", value: 600 },
      ],
    });
    const [https = 0, mqtt = 0] = [...svg.matchAll(/<rect[^>]* width="([\d.]+)"/g)].map(([, w]) => Number(w));
    expect(https / mqtt).toBeCloseTo(2, 1);
    expect(svg).toContain(">1,200<");
  });
});

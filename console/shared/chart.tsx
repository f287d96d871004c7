// Amounts by day as stacked bars, with a legend and a table of the same for those who can't see the bars.
import { BarController, BarElement, CategoryScale, Chart, LinearScale, Tooltip } from "chart.js";
import { useEffect, useRef, useState } from "preact/hooks";

import { dollars } from "./format";
import { Name, Table } from "./parts";

Chart.register(BarController, BarElement, CategoryScale, LinearScale, Tooltip);

export interface Series {
  name: string;
  amounts: number[]; // one for each day
}

const styles = () => getComputedStyle(document.documentElement);
const colorOf = (series: number) =>
  styles()
    .getPropertyValue(`--chart-${(series % 7) + 1}`)
    .trim();

function useScheme(): boolean {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const [isDark, setDark] = useState(dark.matches);
  useEffect(() => {
    const follow = () => setDark(dark.matches);
    dark.addEventListener("change", follow);
    return () => dark.removeEventListener("change", follow);
  }, []);
  return isDark;
}

const shortDay = new Intl.DateTimeFormat(navigator.language, { month: "short", day: "numeric", timeZone: "UTC" });

export function DailyChart({ label, days, series }: { label: string; days: string[]; series: Series[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const isDark = useScheme();
  useEffect(() => {
    const quiet = styles().getPropertyValue("--quiet");
    const line = styles().getPropertyValue("--line");
    const chart = new Chart(canvas.current!, {
      type: "bar",
      data: {
        labels: days.map((day) => shortDay.format(new Date(day))),
        datasets: series.map(({ name, amounts }, place) => ({
          label: name,
          data: amounts,
          backgroundColor: colorOf(place),
          maxBarThickness: 34,
        })),
      },
      options: {
        animation: false,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        plugins: {
          tooltip: {
            filter: ({ parsed }) => (parsed.y ?? 0) > 0,
            callbacks: {
              label: ({ dataset, parsed }) => ` ${dataset.label}: ${dollars(parsed.y ?? 0)}`,
              footer: (items) => `Together: ${dollars(items.reduce((sum, { parsed }) => sum + (parsed.y ?? 0), 0))}`,
            },
          },
        },
        scales: {
          x: {
            stacked: true,
            grid: { display: false },
            border: { color: line },
            ticks: { color: quiet, maxRotation: 0 },
          },
          y: {
            stacked: true,
            border: { display: false },
            grid: { color: line },
            ticks: { color: quiet, maxTicksLimit: 6, callback: (amount) => dollars(Number(amount)) },
          },
        },
      },
    });
    return () => chart.destroy();
  }, [days, series, isDark]);
  return (
    <figure>
      <div class="chart">
        <canvas ref={canvas} role="img" aria-label={`${label}. The table below has the same figures.`} />
      </div>
      <ul class="legend" aria-label="Legend">
        {series.map(({ name, amounts }, place) => (
          <li key={name}>
            <span class="swatch" style={{ background: `var(--chart-${(place % 7) + 1})` }} />
            <Name>{name}</Name>
            <span class="quiet">{dollars(amounts.reduce((sum, amount) => sum + amount, 0))}</span>
          </li>
        ))}
      </ul>
      <details>
        <summary>Show as a table</summary>
        <Table label={label} head={["Day", ...series.map(({ name }) => <Name>{name}</Name>), "Together"]}>
          {days.map((day, row) => (
            <tr key={day}>
              <th scope="row">{day}</th>
              {series.map(({ name, amounts }) => (
                <td class="number" key={name}>
                  {dollars(amounts[row]!)}
                </td>
              ))}
              <td class="number">{dollars(series.reduce((sum, { amounts }) => sum + amounts[row]!, 0))}</td>
            </tr>
          ))}
        </Table>
      </details>
    </figure>
  );
}

// The largest ones, and one for the rest.
export function largest(series: Series[], many: number): Series[] {
  const total = ({ amounts }: Series) => amounts.reduce((sum, amount) => sum + amount, 0);
  const sorted = series.filter((one) => total(one) > 0).sort((a, b) => total(b) - total(a));
  if (sorted.length <= many) return sorted;
  const rest = sorted.slice(many - 1);
  const amounts = rest[0]!.amounts.map((_, day) => rest.reduce((sum, one) => sum + one.amounts[day]!, 0));
  return [...sorted.slice(0, many - 1), { name: `${rest.length} others`, amounts }];
}

/**
 * Numbers for those who watch a server, in Prometheus' text format (version 0.0.4): counters, gauges that are
 * read when somebody asks, and histograms with fixed bounds.
 *
 * @module
 */

/** Values of labels by name. */
export type MetricLabels = Readonly<Record<string, string>>;

/** Media type of the text. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** A number that only grows, one for each combination of labels. */
export class Counter {
  readonly #values = new Map<string, number>();

  /** Adds to it. */
  add(labels: MetricLabels = {}, amount: number = 1): void {
    const key = labelText(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount);
  }

  /** Its lines. */
  lines(name: string): string[] {
    const values = this.#values.size === 0 ? [["", 0] as const] : [...this.#values];
    return values.map(([labels, value]) => `${name}${labels} ${numberText(value)}`);
  }
}

/** How many values were at most as large as each of some bounds. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  /** @param bounds Upper bounds, ascending; infinity is added. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  /** Counts a value. */
  observe(value: number): void {
    for (const [i, bound] of this.#bounds.entries()) if (value <= bound) this.#counts[i]!++;
    this.#sum += value;
    this.#count++;
  }

  /** Its lines. */
  lines(name: string): string[] {
    return [
      ...this.#bounds.map((bound, i) => `${name}_bucket{le="${numberText(bound)}"} ${this.#counts[i]}`),
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${numberText(this.#sum)}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

/** A metric with its name. */
interface Registered {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  lines(name: string): readonly string[];
}

/** All numbers of a server. */
export class Metrics {
  readonly #all: Registered[] = [];

  /** Adds a counter. */
  counter(name: string, help: string): Counter {
    const counter = new Counter();
    this.#all.push({ name, help, type: "counter", lines: (name) => counter.lines(name) });
    return counter;
  }

  /** Adds a histogram. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const histogram = new Histogram(bounds);
    this.#all.push({ name, help, type: "histogram", lines: (name) => histogram.lines(name) });
    return histogram;
  }

  /** Adds a number that is looked up whenever somebody asks. */
  gauge(name: string, help: string, read: () => number, labels: MetricLabels = {}): void {
    const lines = (name: string) => [`${name}${labelText(labels)} ${numberText(read())}`];
    this.#all.push({ name, help, type: "gauge", lines });
  }

  /** All of them as text. */
  text(): string {
    return this.#all.flatMap(({ name, help, type, lines }) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...lines(name),
    ]).map((line) => `${line}\n`).join("");
  }
}

function labelText(labels: MetricLabels): string {
  const parts = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
    return `${name}="${escaped}"`;
  });
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

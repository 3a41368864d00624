/** Numbers in Prometheus' text format, as its documentation has it. */

import { assertEquals } from "@std/assert";
import { Metrics } from "../../../cli/serving/metrics.ts";

Deno.test("Metrics: counters, gauges and histograms as text", () => {
  const metrics = new Metrics();
  const requests = metrics.counter("requests_total", "Requests.");
  const untouched = metrics.counter("errors_total", "Errors.");
  let depth = 3;
  metrics.gauge("depth", "Depth.", () => depth, { name: 'a "b"\\\n' });
  const seconds = metrics.histogram("seconds", "Seconds.", [0.5, 1]);
  requests.add({ code: "200" });
  requests.add({ code: "200" }, 2);
  requests.add({ code: "429" });
  for (const value of [0.25, 0.5, 0.75, 8]) seconds.observe(value);
  depth = Infinity;
  untouched.add({}, 0);
  assertEquals(
    metrics.text(),
    `# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200"} 3
requests_total{code="429"} 1
# HELP errors_total Errors.
# TYPE errors_total counter
errors_total 0
# HELP depth Depth.
# TYPE depth gauge
depth{name="a \\"b\\"\\\\\\n"} +Inf
# HELP seconds Seconds.
# TYPE seconds histogram
seconds_bucket{le="0.5"} 2
seconds_bucket{le="1"} 3
seconds_bucket{le="+Inf"} 4
seconds_sum 9.5
seconds_count 4
`,
  );
});

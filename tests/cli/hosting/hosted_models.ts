/**
 * The bundled model in a thread of its own, as tests of those who host it open it.
 *
 * @module
 */

import type { HostedEvent, HostedOptions } from "../../../cli/hosting/hosted_job.ts";

/** The bundled model of classes, on the CPU. */
export const DEMO: HostedOptions = {
  place: { folder: "demo" },
  loading: { device: "cpu", dtype: "auto", cpuProvider: "wasm", threads: 1 },
};

/** Everything that happens to a job. */
export async function eventsOf(events: AsyncIterable<HostedEvent>): Promise<HostedEvent[]> {
  return await Array.fromAsync(events);
}

/** Events of one kind. */
export function only<Type extends HostedEvent["type"]>(
  events: readonly HostedEvent[],
  type: Type,
): Extract<HostedEvent, { readonly type: Type }>[] {
  return events.filter((event): event is Extract<HostedEvent, { readonly type: Type }> => {
    return event.type === type;
  });
}

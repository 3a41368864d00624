/**
 * Giving way to the event loop.
 *
 * @module
 */

/**
 * Resolves after the events that are already on their way have been delivered. What only awaits finished
 * promises, as work on the CPU does, is one long microtask to everything else: timers, signals and the
 * platform's own reports wait for its end.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/**
 * What this process has taken so far: time of the processor, and memory.
 *
 * @module
 */

import { cpuUsage } from "node:process";

/** Milliseconds of the processor, those of all threads together. */
export function processorTime(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1000;
}

/**
 * Bytes that are in memory, now (`"VmRSS"`) or at most so far (`"VmHWM"`), as Linux tells.
 *
 * @throws {Deno.errors.NotFound} On other systems.
 */
export function processBytes(field: "VmRSS" | "VmHWM"): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return 1024 * Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, "m").exec(status)![1]);
}

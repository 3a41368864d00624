/**
 * The devices of a run, opened once and shared by all cases.
 *
 * @module
 */

import { CpuDevice, type Device, NoAdapterError, WebGpuDevice } from "../kernels/mod.ts";

/** The devices of a run. */
export interface Devices {
  /** Runs the twins. */
  readonly cpu: CpuDevice;
  /** Runs the kernels, if there is an adapter. */
  readonly gpu: WebGpuDevice | undefined;
}

let opened: Promise<Devices> | undefined;

/** Opens the devices once. */
export function openDevices(): Promise<Devices> {
  return opened ??= open();
}

async function open(): Promise<Devices> {
  const cpu = new CpuDevice();
  try {
    return { cpu, gpu: await WebGpuDevice.open() };
  } catch (error) {
    if (!(error instanceof NoAdapterError)) throw error;
    return { cpu, gpu: undefined };
  }
}

/** Waits until a device has done its work. */
export async function finish(device: Device): Promise<void> {
  device.flush();
  if (device instanceof WebGpuDevice) await device.gpu.queue.onSubmittedWorkDone();
}

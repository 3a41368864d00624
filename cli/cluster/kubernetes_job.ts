/**
 * A run as an Indexed Job of Kubernetes: a manifest for `kubectl apply`, whose pods make the part that their
 * index names.
 *
 * @module
 */

import type { ArrayJob } from "./array_job.ts";

/** What Kubernetes alone is told. */
export interface KubernetesJob extends ArrayJob {
  readonly image: string;
  readonly namespace: string | undefined;
  /** Claim of the volume that the run's paths are in, and where that is mounted. */
  readonly volume: { readonly claim: string; readonly mount: string } | undefined;
  /** Secret whose keys become variables of the environment. */
  readonly secret: string | undefined;
  /** Times that a part is started again. */
  readonly retries: number;
}

/** Plain data of a manifest; what is `undefined` is left out. */
type Data = string | number | readonly Data[] | { readonly [name: string]: Data | undefined };

/**
 * The manifest.
 *
 * @example
 * ```ts
 * import { assertStringIncludes } from "@std/assert";
 *
 * const manifest = kubernetesJob({
 *   ...{ name: "one", shards: 4, parallel: 2, program: ["varscale"], args: ["-o", "s3://pictures/$x"] },
 *   ...{ cpus: 2, gpus: undefined, memory: undefined, image: "varscale:1", namespace: undefined },
 *   ...{ volume: undefined, secret: "store", retries: 3 },
 * });
 * assertStringIncludes(manifest, 'completionMode: "Indexed"');
 * assertStringIncludes(manifest, '"s3://pictures/$$x"');
 * ```
 */
export function kubernetesJob(job: KubernetesJob): string {
  const { name, shards, parallel = shards, program, args, cpus, gpus, memory, image } = job;
  const { namespace, volume, secret, retries } = job;
  const labels = { "app.kubernetes.io/name": "varscale", "app.kubernetes.io/instance": name };
  const amounts = {
    cpu: cpus === undefined ? undefined : String(cpus),
    memory: memory === undefined ? undefined : String(memory),
  };
  const limits = { ...amounts, "nvidia.com/gpu": gpus === undefined ? undefined : String(gpus) };
  // The index counts from 0, parts from 1.
  const script = `exec "$@" --shard "$((JOB_COMPLETION_INDEX + 1))/${shards}"`;
  return yaml({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, namespace, labels },
    spec: {
      completionMode: "Indexed",
      completions: shards,
      parallelism: Math.min(parallel, shards),
      backoffLimitPerIndex: retries,
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: "Never",
          containers: [{
            name: "varscale",
            image,
            command: ["/bin/sh", "-c", script, "varscale", ...program, "run", ...args].map(literal),
            workingDir: volume?.mount,
            envFrom: secret === undefined ? undefined : [{ secretRef: { name: secret } }],
            resources: [cpus, memory, gpus].every((amount) => amount === undefined) ? undefined : {
              requests: cpus === undefined && memory === undefined ? undefined : amounts,
              limits,
            },
            volumeMounts: volume && [{ name: "data", mountPath: volume.mount }],
          }],
          volumes: volume && [{ name: "data", persistentVolumeClaim: { claimName: volume.claim } }],
        },
      },
    },
  });
}

/** A word in which Kubernetes finds no reference to a variable: two dollars stand for one. */
function literal(word: string): string {
  return word.replaceAll("$", "$$$$");
}

/** Characters that YAML does not take as they are, and JSON does. */
const UNPRINTABLE = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g;

/** Data as YAML. Every text is in quotes: none passes for a number, a date or a word of YAML's own. */
function yaml(data: Data, indent: string = ""): string {
  if (typeof data === "number") return `${data}\n`;
  if (typeof data === "string") {
    const text = JSON.stringify(data).replace(UNPRINTABLE, (character) => {
      return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
    });
    return `${text}\n`;
  }
  const deeper = `${indent}  `;
  if (isList(data)) {
    return data.map((item) => `${indent}- ${yaml(item, deeper).trimStart()}`).join("");
  }
  const lines = Object.entries(data).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const inline = typeof value !== "object";
    return [`${indent}${name}:${inline ? " " : "\n"}${yaml(value, deeper)}`];
  });
  return lines.join("");
}

function isList(data: Data): data is readonly Data[] {
  return Array.isArray(data);
}

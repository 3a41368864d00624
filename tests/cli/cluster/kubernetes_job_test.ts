/** Manifests for Kubernetes, read by a parser of others and run as a kubelet would. */

import { assertEquals } from "@std/assert";
import { parse } from "npm:yaml@2.9.1";
import { type KubernetesJob, kubernetesJob } from "../../../cli/cluster/kubernetes_job.ts";
import { testInFolder } from "../run.ts";

/** Words that YAML, Kubernetes or a shell would make something else of. */
const HOSTILE = [
  ...["it's", '"$HOME"', "$(HOME)", "$$(HOME)", "$(JOB_COMPLETION_INDEX)", "$", "`touch made`", "a: b # c"],
  ...["yes", "y", "null", "0x1f", "1:30", "1e3", "~", "- a", "{}", "[a]", "*a", "&a", "|", "two\nlines", ""],
  ...["2026-01-01", "é 赤 🦊", "\x1b[2J", "\x7f\x85\u2028\ufeff", "back\\slash", "%a", "@a"],
];

const JOB: KubernetesJob = {
  ...{ name: "one", shards: 12, parallel: 99, program: ["./print"], args: HOSTILE, cpus: 4, gpus: 1 },
  ...{ memory: 20e9, image: "registry.example/varscale:1", namespace: "lab", secret: "store", retries: 5 },
  volume: { claim: "data", mount: "/work" },
};

/** References to variables as a kubelet resolves them: `$(NAME)`, and `$$` for a dollar. */
function expanded(word: string, variables: Readonly<Record<string, string>>): string {
  return word.replace(/\$(\$|\((.*?)\))/gs, (whole, _, name) => {
    return name === undefined ? "$" : variables[name] ?? whole;
  });
}

testInFolder(
  "kubernetesJob: the part is that of the index, and words come as they were given",
  async (folder) => {
    const manifest = kubernetesJob(JOB);
    const job = parse(manifest, { version: "1.2" });
    // Kubernetes reads the older YAML, in which more words are something else.
    assertEquals(parse(manifest, { version: "1.1" }), job);
    const { metadata, spec: { template, ...spec } } = job;
    assertEquals([job.apiVersion, job.kind, metadata.name, metadata.namespace], [
      "batch/v1",
      "Job",
      "one",
      "lab",
    ]);
    assertEquals(spec, {
      ...{ completionMode: "Indexed", completions: 12, parallelism: 12, backoffLimitPerIndex: 5 },
    });
    const { containers: [{ command, ...container }], ...pod } = template.spec;
    assertEquals(pod, {
      restartPolicy: "Never",
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
    });
    assertEquals(container, {
      ...{ name: "varscale", image: "registry.example/varscale:1", workingDir: "/work" },
      envFrom: [{ secretRef: { name: "store" } }],
      resources: {
        requests: { cpu: "4", memory: "20000000000" },
        limits: { cpu: "4", memory: "20000000000", "nvidia.com/gpu": "1" },
      },
      volumeMounts: [{ name: "data", mountPath: "/work" }],
    });
    await Deno.writeTextFile(`${folder}/print`, "#!/bin/sh\nprintf '%s\\0' \"$@\"\n", { mode: 0o755 });
    const env = { JOB_COMPLETION_INDEX: "11", HOME: "/somewhere", PATH: "/usr/bin:/bin" };
    const [program, ...args] = command.map((word: string) => expanded(word, env));
    const { code, stdout } = await new Deno.Command(program, { args, cwd: folder, env, clearEnv: true })
      .output();
    assertEquals(code, 0);
    const words = new TextDecoder().decode(stdout).split("\0");
    assertEquals(words.slice(0, -1), ["run", ...HOSTILE, "--shard", "12/12"]);
  },
);

Deno.test("kubernetesJob: what is left to the cluster is not in it", () => {
  const left = { cpus: undefined, gpus: undefined, memory: undefined, namespace: undefined };
  const { metadata, spec } = parse(kubernetesJob({ ...JOB, ...left, volume: undefined, secret: undefined }));
  assertEquals(Object.keys(metadata), ["name", "labels"]);
  assertEquals(Object.keys(spec.template.spec), ["restartPolicy", "containers"]);
  assertEquals(Object.keys(spec.template.spec.containers[0]), ["name", "image", "command"]);
});

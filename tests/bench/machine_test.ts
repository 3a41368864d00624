import { assert, assertEquals } from "@std/assert";
import { formatMachine, processorOf, thisMachine } from "../../bench/machine.ts";

const INTEL = [
  "processor\t: 0",
  "vendor_id\t: GenuineIntel",
  "cpu family\t: 6",
  "model\t\t: 143",
  "model name\t: Intel(R) Xeon(R)   Platinum 8488C",
  "flags\t\t: fpu sse sse2 fma avx2 avx512f avx512_vnni amx_int8 amx_tile",
].join("\n");
const ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\nCPU implementer\t: 0x41";

Deno.test("processorOf: the name, its generation, and what products are made of", () => {
  assertEquals(processorOf(INTEL), {
    cpu: "Intel Xeon Platinum 8488C (family 6, model 143)",
    instructions: ["AVX2", "FMA", "AVX-512", "AVX-512 VNNI", "AMX INT8"],
  });
  assertEquals(processorOf(ARM), { cpu: Deno.build.arch, instructions: ["dot products", "I8MM"] });
  assertEquals(processorOf(undefined), { cpu: Deno.build.arch, instructions: null });
});

Deno.test("formatMachine: a line that tells what is not known, too", () => {
  const machine = { cpu: "a", instructions: ["AVX2"], cores: 1, os: "linux 6" };
  assertEquals(formatMachine(machine), "a; AVX2; 1 core; linux 6");
  assertEquals(
    formatMachine({ ...machine, instructions: null, cores: 8 }),
    "a; instruction sets unknown; 8 cores; linux 6",
  );
  assertEquals(formatMachine({ ...machine, instructions: [] }), "a; no wide vectors; 1 core; linux 6");
});

Deno.test("thisMachine: this one has a name and cores", async () => {
  const { cpu, cores, os } = await thisMachine();
  assert(cpu.length > 0 && cores === navigator.hardwareConcurrency && os.startsWith(Deno.build.os));
});

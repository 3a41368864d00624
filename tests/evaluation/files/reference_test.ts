/** Reference statistics of other tools and of our own. */

import { assertEquals, assertRejects } from "@std/assert";
import { openNpz, writeNpz } from "../../../evaluation/files/npz.ts";
import { readReference, writeReference } from "../../../evaluation/files/reference.ts";
import { ModelFileError } from "../../../models/mod.ts";
import { filesIn, fixture, testInFolder } from "../../cli/run.ts";

const at = (name: string): string => fixture(`evaluation/npz/${name}.npz`);

// What make.py printed.
const MU = [-0.32457599436799356, -0.22537026632238288, -0.041903017004535165, -0.08432356536847824];
const SIGMA_1 = [-0.05855214944330778, 0.5458379808282019, -0.22097131568727876, -0.09749009165677654];
const MU_S = [-0.2988982424094214, -0.024544558228159465, -0.06153289571634868];

Deno.test("readReference: statistics of pytorch-fid", async () => {
  const { network, count, features, spatial, rows, pictures } = await readReference(at("pytorch_fid"));
  assertEquals([...features!.mean], MU);
  assertEquals([...features!.covariance.subarray(4, 8)], SIGMA_1);
  assertEquals([features!.dimensions, features!.count], [4, 2]);
  assertEquals([network, count, spatial, rows, pictures], [
    undefined,
    undefined,
    undefined,
    undefined,
    false,
  ]);
});

Deno.test("readReference: statistics and pictures of guided-diffusion", async () => {
  const { features, spatial, pictures } = await readReference(at("guided_diffusion"));
  // f32 there.
  assertEquals([...features!.mean], MU.map(Math.fround));
  assertEquals([...spatial!.mean], MU_S);
  assertEquals(spatial!.dimensions, 3);
  assertEquals(pictures, true);
});

Deno.test("readReference: what does not fit or is not finite is refused by name", async () => {
  const refused = async (name: string, message: string): Promise<void> => {
    await assertRejects(() => readReference(at(name)), ModelFileError, message);
  };
  await refused("wrong_shape", "sigma (expected shape [4, 4], as mu has it, found [3, 3])");
  await refused("not_finite", "sigma (expected finite numbers, found NaN at 6)");
  await refused(
    "stored",
    "expected the arrays mu and sigma, features, or pictures arr_0, found bytes, halves",
  );
});

testInFolder(
  "writeReference: all that was written is read, and mu and sigma by others, too",
  async (folder) => {
    const path = `${folder}/reference.npz`;
    const moments = { count: 3, dimensions: 2 };
    const reference = {
      network: { name: "own", fingerprint: "0123abcd" },
      count: 3,
      features: { ...moments, mean: new Float64Array([1, 2]), covariance: new Float64Array([4, 1, 1, 3]) },
      spatial: { ...moments, mean: new Float64Array([5, 6]), covariance: new Float64Array([2, 0, 0, 2]) },
      rows: { values: new Float32Array([1, 2, 3, 4, 5, 6]), count: 3, dimensions: 2 },
    };
    await writeReference(path, reference);
    assertEquals(await readReference(path), { file: path, pictures: false, ...reference });
    using npz = await openNpz(path);
    assertEquals(await npz.describe("mu"), { type: "<f8", shape: [2] });
    assertEquals(await npz.describe("sigma"), { type: "<f8", shape: [2, 2] });
    assertEquals(filesIn(folder), ["reference.npz"]);
  },
);

testInFolder("readReference: features and statistics must be of one dimension", async (folder) => {
  const path = `${folder}/two.npz`;
  await writeNpz(path, {
    mu: { shape: [2], values: new Float64Array(2) },
    sigma: { shape: [2, 2], values: new Float64Array(4) },
    features: { shape: [1, 3], values: new Float32Array(3) },
  });
  await assertRejects(
    () => readReference(path),
    ModelFileError,
    "features (expected 2 numbers a row, as mu has, found 3)",
  );
  await writeNpz(path, { features: { shape: [3], values: new Float32Array(3) } });
  await assertRejects(() => readReference(path), ModelFileError, "expected a row for each picture");
  const nan = new Float32Array([1, NaN]);
  await writeNpz(path, { features: { shape: [2, 1], values: nan } });
  await assertRejects(() => readReference(path), ModelFileError, "features (expected finite numbers");
  const one = { shape: [2, 1], values: new Float32Array(2) };
  await writeNpz(path, { features: one, count: { shape: [1], values: new Float32Array([0.5]) } });
  await assertRejects(() => readReference(path), ModelFileError, "count (expected a number of pictures");
});

testInFolder("readReference: what is called a covariance must be one", async (folder) => {
  const path = `${folder}/sigma.npz`;
  const refused = async (sigma: number[], message: string): Promise<void> => {
    const mu = { shape: [2], values: new Float64Array(2) };
    await writeNpz(path, { mu, sigma: { shape: [2, 2], values: new Float64Array(sigma) } });
    await assertRejects(() => readReference(path), ModelFileError, `${path}, sigma (expected ${message})`);
  };
  await refused([1, 2, 3, 4], "a symmetric matrix, found 3 and 2 of columns 0 and 1");
  await refused([1, 0, 0, -4], "variances of at least 0, found -4 in column 1");
});

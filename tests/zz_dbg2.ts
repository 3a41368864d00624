import { CpuDevice } from "../kernels/cpu_device.ts";
import { WebGpuDevice } from "../kernels/webgpu_device.ts";
import { testRandom } from "./devices.ts";
import { densities, randomPool, selection } from "./var_scaling.ts";
const gpu = await WebGpuDevice.open(); const cpu = new CpuDevice();
for (const [images,draws,positions,channels,vocabulary,rep,thr] of [[1,50,4,32,4096,10,1.8],[8,50,4,32,4096,10,1.8],[1,100,256,32,4096,10,1.8],[1,1000,4,32,4096,10,1.8],[1,4096,4,32,4096,10,1.8],[1,4096,4,32,4096,500,1.8],[1,8192,1,16,4096,100,1.8]] as const) {
  const pool = randomPool(testRandom(1), { images, draws, positions, vocabulary, channels }, 700);
  for (const features of ["position","joint"] as const) {
  const o = {epsilon: 0.3, features};
  await densities(gpu,pool,o);
  let t=performance.now(); const a=await densities(gpu,pool,o); const tg=performance.now()-t; t=performance.now(); const b=await densities(cpu,pool,o); const tc=performance.now()-t;
  const bad = a.scores.filter((x,i)=>x!==b.scores[i]).length, badh=a.bandwidth.filter((x,i)=>x!==b.bandwidth[i]).length;
  const options = { representatives: rep, alpha: 1, conflictThreshold: thr };
  await selection(gpu,pool,b.scores,options);
  t=performance.now(); const c=await selection(gpu,pool,b.scores,options); const sg=performance.now()-t; t=performance.now(); const d=await selection(cpu,pool,b.scores,options); const sc=performance.now()-t;
  const badS = ["order","tokens","record"].map(k=>(c as never as Record<string,Uint32Array>)[k]!.filter((x,i)=>x!==(d as never as Record<string,Uint32Array>)[k]![i]).length);
  console.log(images,draws,positions,channels,features,"bad",bad,badh,badS.join(),"density gpu",tg.toFixed(),"cpu",tc.toFixed(),"select gpu",sg.toFixed(),"cpu",sc.toFixed());
}}

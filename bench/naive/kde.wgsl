// Gaussian kernel sums, one thread per query, everything from global memory, added up in order. Points come
// in several calls, since Mesa's software Vulkan silently ends a thread's loops after 65535 turns.

struct Parameters {
  first: u32,
  end: u32,
  queries: u32,
  dimensions: u32,
  // 1 / (2 h^2).
  factor: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> points: array<f32>;
@group(0) @binding(2) var<storage, read> queries: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let query = id.y * groups.x * 64u + id.x;
  if (query >= parameters.queries) {
    return;
  }
  var sum = 0.0;
  if (parameters.first > 0u) {
    sum = output[query];
  }
  for (var point = parameters.first; point < parameters.end; point++) {
    var squares = 0.0;
    for (var d = 0u; d < parameters.dimensions; d++) {
      let difference = points[point * parameters.dimensions + d] - queries[query * parameters.dimensions + d];
      squares += difference * difference;
    }
    sum += exp(-squares * parameters.factor);
  }
  output[query] = sum;
}

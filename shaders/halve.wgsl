// halve:  h = w, rounded to f16
//
//   parameters  w  [arena]
//   halves      h  [arena]  every element is written
//
// What the products of a forward and a backward pass read; the optimizer's w keep all their bits. One
// invocation rounds four neighbours.
//
// Host record: src/ops/halve.rs

struct HalveShape {
    // In vectors of four.
    len: u32,
}

@group(0) @binding(1) var<uniform> shape: HalveShape;
@group(0) @binding(2) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> halves: array<vec4<Halves>>;

override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = id.y * groups.x * WORKGROUP + id.x;
    if i < shape.len {
        let w = parameters[i];
        halves[i] = vec4<Halves>(to_halves(w.x), to_halves(w.y), to_halves(w.z), to_halves(w.w));
    }
}

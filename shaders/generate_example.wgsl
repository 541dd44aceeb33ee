// A host app's function, for the tests: a point of the unit square and its distance to the centre.
fn sample(i: u32, seed: u32) -> Sample {
    let place = wgrad_random(i, seed).xy;
    var made: Sample;
    made.input[0] = place.x;
    made.input[1] = place.y;
    made.targets[0] = distance(place, vec2<f32>(0.5));
    return made;
}
const WGRAD_INPUTS = 2u;
const WGRAD_TARGETS = 1u;

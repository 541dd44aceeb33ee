// order: the row of the data set at a position of the step's batch. Behind step.wgsl and philox.wgsl.
// It is computed where it is needed, so no index is uploaded. Host twin: src/sampler.rs

const SHUFFLED = 1u;
const REPLACEMENT = 2u;
// rng::Purpose::Draw
const PURPOSE_DRAW = 3u;

// Identity, a keyed permutation, or draws with replacement.
fn row_of(position: u32) -> u32 {
    switch step.order {
        case SHUFFLED: { return permute(step.first + position); }
        case REPLACEMENT: {
            let bits = philox4x32(vec4<u32>(position, step.draw, PURPOSE_DRAW), step.seed);
            return mul_high(bits.x, step.rows);
        }
        default: { return step.first + position; }
    }
}

// A Feistel network over the smallest power of four that covers the rows; what lands outside goes
// through again.
fn permute(position: u32) -> u32 {
    let half = step.half_bits;
    let mask = (1u << half) - 1u;
    var x = position;
    loop {
        var left = x >> half;
        var right = x & mask;
        for (var round = 0u; round < 8u; round++) {
            let mixed = left ^ (mix(right ^ round_key(round)) & mask);
            left = right;
            right = mixed;
        }
        x = (left << half) | right;
        if x < step.rows { break; }
    }
    return x;
}

fn round_key(round: u32) -> u32 {
    if round < 4u { return step.keys0[round]; }
    return step.keys1[round - 4u];
}

// The finaliser of MurmurHash3.
fn mix(value: u32) -> u32 {
    var h = value;
    h ^= h >> 16u;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13u;
    h *= 0xC2B2AE35u;
    return h ^ (h >> 16u);
}


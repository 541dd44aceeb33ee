// philox: 128 random bits as a function of a counter and a key. Philox4x32-10 of Salmon, Moraes,
// Dror and Shaw 2011. Host twin: src/rng.rs

fn philox4x32(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round = 0; round < 10; round++) {
        let high0 = mul_high(0xD2511F53u, c.x);
        let high1 = mul_high(0xCD9E8D57u, c.z);
        c = vec4<u32>(
            high1 ^ c.y ^ k.x,
            0xCD9E8D57u * c.z,
            high0 ^ c.w ^ k.y,
            0xD2511F53u * c.x,
        );
        k += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// The high half of the 64-bit product a·b, from products of 16-bit halves.
fn mul_high(a: u32, b: u32) -> u32 {
    let a_low = a & 0xFFFFu;
    let a_high = a >> 16u;
    let b_low = b & 0xFFFFu;
    let b_high = b >> 16u;
    // Neither sum can overflow: (2¹⁶ − 1)² + 2(2¹⁶ − 1) = 2³² − 1.
    let middle = a_high * b_low + ((a_low * b_low) >> 16u);
    let cross = a_low * b_high + (middle & 0xFFFFu);
    return a_high * b_high + (middle >> 16u) + (cross >> 16u);
}


//! Which names a WGSL function can have.

/// Whether shaders may declare something of this name without harm: ASCII letters, digits and
/// underscores, no digit or two underscores first, none of WGSL's words.
pub(super) fn is_free(name: &str) -> bool {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let rest = characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    let taken = [KEYWORDS, RESERVED, PREDECLARED].iter();
    let is_taken = |words: &&str| words.split_ascii_whitespace().any(|word| word == name);
    first && rest && name != "_" && !name.starts_with("__") && !taken.into_iter().any(is_taken)
}

/// WGSL, section "Keyword Summary".
const KEYWORDS: &str = "alias break case const const_assert continue continuing default diagnostic
    discard else enable false fn for if let loop override requires return struct switch true var while";

/// WGSL, section "Reserved Words".
const RESERVED: &str = "NULL Self abstract active alignas alignof as asm asm_fragment async attribute
    auto await become cast catch class co_await co_return co_yield coherent column_major common compile
    compile_fragment concept const_cast consteval constexpr constinit crate debugger decltype delete
    demote demote_to_helper do dynamic_cast enum explicit export extends extern external fallthrough
    filter final finally friend from fxgroup get goto groupshared highp impl implements import inline
    instanceof interface layout lowp macro macro_rules match mediump meta mod module move mut mutable
    namespace new nil noexcept noinline nointerpolation non_coherent noncoherent noperspective null
    nullptr of operator package packoffset partition pass patch pixelfragment precise precision premerge
    priv protected pub public readonly ref regardless register reinterpret_cast require resource
    restrict self set shared sizeof smooth snorm static static_assert static_cast std subroutine super
    target template this thread_local throw trait try type typedef typeid typename typeof union unless
    unorm unsafe unsized use using varying virtual volatile wgsl where with writeonly yield";

/// Types, type aliases and functions that every shader has. A declaration of the same name would hide
/// them from the host's shader and from the exported function itself.
const PREDECLARED: &str = "array atomic bool f16 f32 i32 mat2x2 mat2x3 mat2x4 mat3x2 mat3x3 mat3x4 mat4x2
    mat4x3 mat4x4 ptr sampler sampler_comparison texture_1d texture_2d texture_2d_array texture_3d
    texture_cube texture_cube_array texture_depth_2d texture_depth_2d_array texture_depth_cube
    texture_depth_cube_array texture_depth_multisampled_2d texture_external texture_multisampled_2d
    texture_storage_1d texture_storage_2d texture_storage_2d_array texture_storage_3d u32 vec2 vec3 vec4
    mat2x2f mat2x2h mat2x3f mat2x3h mat2x4f mat2x4h mat3x2f mat3x2h mat3x3f mat3x3h mat3x4f mat3x4h
    mat4x2f mat4x2h mat4x3f mat4x3h mat4x4f mat4x4h vec2f vec2h vec2i vec2u vec3f vec3h vec3i vec3u
    vec4f vec4h vec4i vec4u
    read write read_write function private workgroup uniform storage
    bitcast all any select arrayLength abs acos acosh asin asinh atan atan2 atanh ceil clamp cos cosh
    countLeadingZeros countOneBits countTrailingZeros cross degrees determinant distance dot
    dot4I8Packed dot4U8Packed exp exp2 extractBits faceForward firstLeadingBit firstTrailingBit floor
    fma fract frexp insertBits inverseSqrt ldexp length log log2 max min mix modf normalize pow
    quantizeToF16 radians reflect refract reverseBits round saturate sign sin sinh smoothstep sqrt step
    tan tanh transpose trunc dpdx dpdxCoarse dpdxFine dpdy dpdyCoarse dpdyFine fwidth fwidthCoarse
    fwidthFine textureDimensions textureGather textureGatherCompare textureLoad textureNumLayers
    textureNumLevels textureNumSamples textureSample textureSampleBaseClampToEdge textureSampleBias
    textureSampleCompare textureSampleCompareLevel textureSampleGrad textureSampleLevel textureStore
    atomicAdd atomicAnd atomicCompareExchangeWeak atomicExchange atomicLoad atomicMax atomicMin atomicOr
    atomicStore atomicSub atomicXor pack2x16float pack2x16snorm pack2x16unorm pack4x8snorm pack4x8unorm
    pack4xI8 pack4xI8Clamp pack4xU8 pack4xU8Clamp unpack2x16float unpack2x16snorm unpack2x16unorm
    unpack4x8snorm unpack4x8unorm unpack4xI8 unpack4xU8 storageBarrier textureBarrier workgroupBarrier
    workgroupUniformLoad subgroupAdd subgroupAll subgroupAnd subgroupAny subgroupBallot
    subgroupBroadcast subgroupBroadcastFirst subgroupElect subgroupExclusiveAdd subgroupExclusiveMul
    subgroupInclusiveAdd subgroupInclusiveMul subgroupMax subgroupMin subgroupMul subgroupOr
    subgroupShuffle subgroupShuffleDown subgroupShuffleUp subgroupShuffleXor subgroupXor quadBroadcast
    quadSwapDiagonal quadSwapX quadSwapY";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_words() {
        for name in ["mlp_eval", "_net", "f", "Net2", "densité_ascii", "tanh2", "x__y"] {
            assert_eq!(is_free(name), name.is_ascii(), "{name}");
        }
        for word in
            ["", "_", "__net", "2net", "my-net", "a b", "fn", "target", "tanh", "vec4f", "dot"]
        {
            assert!(!is_free(word), "{word}");
        }
    }

    /// naga keeps lists of its own.
    #[test]
    fn every_word_that_naga_knows_is_taken() {
        for word in naga::keywords::wgsl::RESERVED {
            assert!(!is_free(word), "{word}");
        }
        // Of the predeclared ones, formats of textures can be hidden without harm, and some are
        // naga's own.
        let formats = |word: &str| {
            word.ends_with(|c: char| c.is_ascii_lowercase())
                && word.contains(|c: char| c.is_ascii_digit())
        };
        for word in naga::keywords::wgsl::BUILTIN_IDENTIFIERS {
            let own = ["i64", "u64", "f64", "push_constant"].contains(word);
            assert!(!is_free(word) || formats(word) || own, "{word}");
        }
    }
}

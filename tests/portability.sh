#!/usr/bin/env bash
# Runs the GPU tests on every driver that a Linux machine can have without hardware, and compiles the
# kernels for what it can't: prints a matrix of what passed. Installs what is missing where apt-get is.
#
#     bash tests/portability.sh          all of it: more than an hour on two cores
#     bash tests/portability.sh quick    only `wgrad check` on each driver: about a quarter of an hour
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*" >&2; }

install() {
    command -v apt-get >/dev/null || { echo "not found: $*" >&2; exit 1; }
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "$@"
}

# Folders that can't be read are no error.
find_file() { find /usr /etc /opt -path "$1" -print -quit 2>/dev/null || true; }

# Mesa's software drivers, the validation layers, and the SwiftShader that comes with Chromium.
lavapipe=$(find_file '*/vulkan/icd.d/lvp_icd*.json')
amd=$(find_file '*/vulkan/icd.d/radeon_icd*.json')
layers=$(find_file '*/VkLayer_khronos_validation.json')
swiftshader=$(find_file '*/vk_swiftshader_icd.json')
egl=$(find_file '*/libEGL_mesa.so.0')
missing=()
[ -n "$lavapipe" ] && [ -n "$amd" ] || missing+=(mesa-vulkan-drivers)
[ -n "$layers" ] || missing+=(vulkan-validationlayers)
[ -n "$swiftshader" ] || missing+=(chromium)
[ -n "$egl" ] || missing+=(libegl1 libegl-mesa0 libgl1-mesa-dri)
if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    install "${missing[@]}"
    lavapipe=$(find_file '*/vulkan/icd.d/lvp_icd*.json')
    swiftshader=$(find_file '*/vk_swiftshader_icd.json')
fi

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$logs}"

# What the layers say goes to standard output, where it is counted. naga's debug information names a
# source language that layers of 2023 don't know, so it stays out.
cat >"$logs/vk_layer_settings.txt" <<'END'
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn,perf
END
on_lavapipe=(VK_DRIVER_FILES="$lavapipe" VK_ICD_FILENAMES="$lavapipe" WGPU_BACKEND=vulkan)
declare -A with=(
    [lavapipe]="${on_lavapipe[*]}"
    [validated]="${on_lavapipe[*]} WGPU_DEBUG=0 VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation VK_LAYER_SETTINGS_PATH=$logs"
    [swiftshader]="VK_DRIVER_FILES=$swiftshader VK_ICD_FILENAMES=$swiftshader WGPU_BACKEND=vulkan"
    # wgpu gives up on an OpenGL context that another thread holds for six seconds, as long as some
    # kernels take to compile: so one test at a time there.
    [gl]="WGPU_BACKEND=gl LIBGL_ALWAYS_SOFTWARE=1 RUST_TEST_THREADS=1"
)
declare -A named=(
    [lavapipe]="lavapipe (Vulkan)" [validated]="  with validation layers"
    [swiftshader]="SwiftShader (Vulkan)" [gl]="llvmpipe (OpenGL)"
)
declare -A command=(
    [check]="cargo run --quiet -- check --device gpu"
    [kernels]="cargo test --quiet --lib ops:: -- --skip isa:: --skip translation::"
    [trainings]="cargo test --quiet --test engines --test options --test checkpoints --test encodings --test divergence"
    [guests]="cargo test --quiet --test guest --test lost_device"
    [exports]="cargo test --quiet --test wgsl_export"
)
columns=(check kernels trainings guests exports)
[ "${1-}" = quick ] && columns=(check)

failed=0
declare -A cell
for driver in lavapipe validated swiftshader gl; do
    for column in "${columns[@]}"; do
        say "${named[$driver]}: $column"
        log="$logs/$driver-$column"
        begun=$SECONDS
        # shellcheck disable=SC2086 # words on purpose
        if env ${with[$driver]} ${command[$column]} >"$log" 2>&1; then
            result="passed"
        else
            result="FAILED"
            grep -E 'panicked|FAILED|failed|error' "$log" | head -20 >&2 || true
        fi
        if [ "$driver" = validated ]; then
            messages=$(grep -c 'MessageID = ' "$log" || true)
            result+=", $messages messages"
            grep -m 5 'MessageID = ' "$log" >&2 || true
        fi
        case $result in
            passed | 'passed, 0 messages') ;;
            *) failed=1 ;;
        esac
        cell[$driver-$column]="$result"
        echo "$result in $((SECONDS - begun)) s" >&2
    done
done

declare -A offline=(
    [Metal]="translation::every_variant_translates_for_metal"
    [Direct3D]="translation::every_variant_translates_for_direct3d"
    ["OpenGL ES"]="translation::every_variant_translates_for_opengl_es"
    [RDNA1]="isa::every_variant_suits_rdna1"
    [RDNA3]="isa::every_variant_suits_rdna3"
    [Vega]="isa::every_variant_suits_vega"
)
translated=(Metal Direct3D "OpenGL ES" RDNA1 RDNA3 Vega)
[ "${1-}" = quick ] && translated=()
for target in "${translated[@]}"; do
    say "kernels for $target"
    if cargo test --quiet --lib "${offline[$target]}" >"$logs/offline" 2>&1; then
        cell[$target]="passed"
    else
        cell[$target]="FAILED"
        failed=1
        tail -20 "$logs/offline" >&2
    fi
done

printf '\n%-26s' driver
printf '%-20s' "${columns[@]}"
printf '\n'
for driver in lavapipe validated swiftshader gl; do
    printf '%-26s' "${named[$driver]}"
    for column in "${columns[@]}"; do printf '%-20s' "${cell[$driver-$column]}"; done
    printf '\n'
done
[ ${#translated[@]} -eq 0 ] || printf '\nevery variant of every kernel\n'
for target in "${translated[@]}"; do
    case $target in
        RDNA* | Vega) how="compiled by Mesa's offline compiler" ;;
        *) how="translated by naga" ;;
    esac
    printf '  %-24s%-12s%s\n' "$target" "${cell[$target]}" "$how"
done
exit $failed

#!/usr/bin/env bash
#
# Fetches the data sets, NVRTC and nvdisasm, and verifies them. ./data-fetch.sh --help says how it is used.
#
# A file counts as right when the SHA-256 of its uncompressed bytes is the published one: mirrors compress differently.
# It gets its final name only then, by a rename within its folder: an interrupted run leaves nothing that looks whole.

set -euo pipefail

usage() {
    cat <<'END'
Usage: ./data-fetch.sh [mnist|fashion-mnist|nvrtc|nvrtc12|nvdisasm] [--from DIR] [--to DIR]

Puts the files of a set into the folder of its name in DIR, as in DIR/mnist, verified by SHA-256.
Files that are already there and right are kept.

  mnist, fashion-mnist  the four files of a data set (default: mnist)
  nvrtc, nvrtc12        NVRTC 13 or 12, NVIDIA's run-time compiler of CUDA C++: its two libraries and their licence,
                        for Linux on x86_64 or aarch64. Nothing is installed in the system
  nvdisasm              NVIDIA's disassembler, for the test of the kernels' machine code; for the same machines
  --from DIR            copy from DIR, which holds a folder of the set's name, or the files themselves; those of a
                        data set compressed (.gz) or not. Nothing else is asked
  --to DIR              where the sets go (default: data, beside this script)
  -h, --help            show this text

Environment:
  LATENT_DATA_FROM              a folder as for --from, tried first; the other sources follow
  LATENT_MNIST_MIRRORS          URLs to ask instead of the usual ones, separated by spaces
  LATENT_FASHION_MNIST_MIRRORS  the same for Fashion-MNIST; Debian's package is then not tried

Sources, in this order: LATENT_DATA_FROM; for Fashion-MNIST, Debian's package dataset-fashion-mnist; the mirrors.
An interrupted download from a mirror is resumed by the next run.
NVRTC and nvdisasm come from LATENT_DATA_FROM or from the Python package nvidia-cuda-nvrtc (or nvidia-cuda-nvrtc-cu12)
or nvidia-cuda-nvdisasm, which pip downloads as it is configured.

Exit status: 0 the set is there; 1 it could not be had; 2 wrong usage.
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
image_files="train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte"
debian_package=dataset-fashion-mnist
debian_folder=usr/share/datasets/fashion-mnist
scratch=""
incoming=""
machine=""

note() { printf 'data-fetch: %s\n' "$*" >&2; }
die() {
    note "$*"
    exit 1
}
misused() {
    note "$* (./data-fetch.sh --help)"
    exit 2
}
clean_up() {
    if [[ -n $scratch ]]; then rm -rf "$scratch"; fi
    if [[ -n $incoming ]]; then rm -f "$incoming"; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# set_files SET: the names of its files.
set_files() {
    case $1 in
        nvrtc) echo libnvrtc.so.13 libnvrtc-builtins.so.13.5 License.txt ;;
        nvrtc12) echo libnvrtc.so.12 libnvrtc-builtins.so.12.9 License.txt ;;
        nvdisasm) echo nvdisasm License.txt ;;
        *) echo "$image_files" ;;
    esac
}

# package SET: the Python package that holds NVIDIA's tool, and its version.
package() {
    case $1 in
        nvrtc) echo nvidia-cuda-nvrtc==13.5.37 ;;
        nvrtc12) echo nvidia-cuda-nvrtc-cu12==12.9.86 ;;
        nvdisasm) echo nvidia-cuda-nvdisasm==13.5.37 ;;
    esac
}

# checksum SET FILE: the SHA-256 of the uncompressed file.
checksum() {
    case $1/$2 in
        mnist/train-images-idx3-ubyte) echo ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db ;;
        mnist/train-labels-idx1-ubyte) echo 65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5 ;;
        mnist/t10k-images-idx3-ubyte) echo 0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7 ;;
        mnist/t10k-labels-idx1-ubyte) echo ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2 ;;
        fashion-mnist/train-images-idx3-ubyte) echo c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888 ;;
        fashion-mnist/train-labels-idx1-ubyte) echo bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9 ;;
        fashion-mnist/t10k-images-idx3-ubyte) echo 5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b ;;
        fashion-mnist/t10k-labels-idx1-ubyte) echo 0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34 ;;
        nv*/License.txt) echo ad6f5853fba0ca0d159d0f58d49ae49830c2f8c93f7a92648b9ce90adb4c6ccd ;;
        nv*/*) binary_checksum "$machine/$2" ;;
    esac
}

# binary_checksum MACHINE/FILE: the same for what differs between machines.
binary_checksum() {
    case $1 in
        x86_64/libnvrtc.so.13) echo 98a317ff5d2176dee5a04235c6663f8d553d5ed95b3104cbf7fb198cbf76a10d ;;
        x86_64/libnvrtc-builtins.so.13.5) echo 6cecb2fd3e562bab1cb1c6e192f8f828157683c8febb22a00e178f9faf4e7f6a ;;
        x86_64/libnvrtc.so.12) echo 7c67c6b51ea0e0279634cebd676ff7efda1674806444520c84430ad5c35fe625 ;;
        x86_64/libnvrtc-builtins.so.12.9) echo 6507cf33450cfb22970c2c1e7aa8e7c0a33e39d864720277b05f61a92791e2e8 ;;
        x86_64/nvdisasm) echo 3bf19e7ab706ed8f68ecc2403d277b97dc110c52e0ac4c4f0c8eada5f7889c3c ;;
        aarch64/nvdisasm) echo 29aa9750249f95271b6095fc874f357945b0a73193097576f8d2bcceedd57241 ;;
        aarch64/libnvrtc.so.13) echo 2d1f2a63e60c371bf81bf1eecb496635a9667060f24d71ff5997d5b2a8d10e23 ;;
        aarch64/libnvrtc-builtins.so.13.5) echo 4674c4e8bea0dd5736007dc6afbf7c654ece284c4ed1a1eb55722f18412a0cbb ;;
        aarch64/libnvrtc.so.12) echo 3a599a1649813776e6852024ba6c3a2fc291a0eab61745864261aa449f8d2b7d ;;
        aarch64/libnvrtc-builtins.so.12.9) echo fa791107a53e7e38bbcf28cd8223c62bd91445227634537d1e71a4b3cbd6920d ;;
    esac
}

# mirrors SET: the URLs of the folders that hold its four .gz files.
mirrors() {
    case $1 in
        mnist)
            echo "${LATENT_MNIST_MIRRORS:-https://storage.googleapis.com/cvdf-datasets/mnist
                https://ossci-datasets.s3.amazonaws.com/mnist}"
            ;;
        fashion-mnist)
            echo "${LATENT_FASHION_MNIST_MIRRORS:-http://fashion-mnist.s3-website.eu-central-1.amazonaws.com}"
            ;;
    esac
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# Compression is told by the first two bytes: a name can lie.
is_gzip() { [[ $(head -c 2 "$1" | od -An -tx1 | tr -d ' \n') == 1f8b ]]; }

# verified PATH SUM: whether the uncompressed bytes of PATH have that checksum.
verified() {
    [[ -f $1 && -r $1 ]] || return 1
    local sum
    if is_gzip "$1"; then
        sum=$(gzip -dc <"$1" 2>/dev/null | sha256) || return 1
    else
        sum=$(sha256 <"$1") || return 1
    fi
    [[ $sum == "$2" ]]
}

# present SET FILE: whether the target folder holds the file. The program reads the .gz where both are, so does this.
present() {
    local path=$to/$1/$2
    if [[ -e $path.gz ]]; then path=$path.gz; fi
    [[ -e $path ]] || return 1
    if ! verified "$path" "$(checksum "$1" "$2")"; then
        note "$path is damaged (checksum differs): replacing it"
        return 1
    fi
}

all_present() {
    local file
    for file in $(set_files "$1"); do
        if ! present "$1" "$file" 2>/dev/null; then return 1; fi
    done
}

# install_file SOURCE TARGET: a compressed copy of SOURCE under the name TARGET, which appears at once or not at all.
install_file() {
    if is_gzip "$1"; then
        install_copy "$1" "$2"
        return
    fi
    incoming=$2.incoming.$$
    local problem
    problem=$( { gzip -nc "$1" >"$incoming"; } 2>&1) || die "cannot write $2: ${problem##*: }"
    appear "$2"
}

# install_copy SOURCE TARGET: the same without compressing.
install_copy() {
    incoming=$2.incoming.$$
    local problem
    problem=$(cp "$1" "$incoming" 2>&1) || die "cannot write $2: ${problem##*: }"
    appear "$2"
}

# appear TARGET: gives what came in its name.
appear() {
    local problem
    problem=$( { chmod u+w "$incoming" && mv -f "$incoming" "$1"; } 2>&1) || die "cannot write $1: ${problem##*: }"
    incoming=""
}

# copy_set SET DIR: installs what is not yet there from DIR/SET or from DIR itself.
copy_set() {
    local set=$1 file folder source
    for file in $image_files; do
        if present "$set" "$file"; then continue; fi
        source=""
        for folder in "$2/$set" "$2"; do
            for source in "$folder/$file.gz" "$folder/$file" ""; do
                if [[ -f $source ]]; then break 2; fi
            done
        done
        if [[ -z $source ]]; then
            note "$2 holds no $file.gz, neither in $set/ nor directly"
            return 1
        fi
        if [[ ! -r $source ]]; then
            note "$source may not be read: check its permissions"
            return 1
        fi
        if ! verified "$source" "$(checksum "$set" "$file")"; then
            note "$source is not $set's (checksum differs): damaged, or a file of another set"
            return 1
        fi
        install_file "$source" "$to/$set/$file.gz"
    done
}

# from_debian SET: from Debian's package, installed or unpacked into a scratch folder; needs no root.
from_debian() {
    if [[ -d /$debian_folder ]]; then
        copy_set "$1" "/$debian_folder"
        return
    fi
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
    scratch=$(mktemp -d) || die "cannot make a temporary folder"
    local apt=(apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15)
    local own=(-o "Dir::State::lists=$scratch/lists" -o "Dir::Cache=$scratch/cache" -o Debug::NoLocking=1)
    mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
    # The system's package lists may be missing or stale, and updating those takes root: the second try brings its own.
    (
        cd "$scratch"
        "${apt[@]}" download "$debian_package" || {
            "${apt[@]}" "${own[@]}" update && "${apt[@]}" "${own[@]}" download "$debian_package"
        }
    ) >/dev/null 2>&1 || {
        note "Debian's package $debian_package could not be fetched; trying the mirrors"
        return 1
    }
    dpkg -x "$scratch"/*.deb "$scratch/root" 2>/dev/null || die "cannot unpack $debian_package in $scratch: disk full?"
    copy_set "$1" "$scratch/root/$debian_folder"
}

# download URL PART: goes on where PART ends. Status 3: this server cannot continue PART.
download() {
    local progress=--silent status=0 code
    if [[ -t 2 ]]; then progress=--progress-bar; fi
    code=$(curl --fail --location "$progress" --connect-timeout 15 --speed-limit 1000 --speed-time 30 --retry 2 \
        --continue-at - --write-out '%{http_code}' --output "$2" "$1") || status=$?
    case $status in
        0) return 0 ;;
        6) note "$1: host not found; offline?" ;;
        7) note "$1: cannot connect; offline, or the mirror is down" ;;
        22)
            if [[ $code == 416 ]]; then return 3; fi
            note "$1: the mirror answers $code"
            ;;
        23) die "cannot write $2: disk full or not permitted" ;;
        28) note "$1: no answer in time; the next run goes on where this one stopped" ;;
        33 | 36) return 3 ;;
        *) note "$1: curl exit status $status (man curl lists them)" ;;
    esac
    return 1
}

# fetch_file SET FILE: from the first mirror that has it right.
fetch_file() {
    local set=$1 file=$2 sum part mirror url attempt status
    part=$to/$set/$file.gz.part
    sum=$(checksum "$set" "$file")
    for mirror in $(mirrors "$set"); do
        url=$mirror/$file.gz
        # What PART holds may come from a mirror that compresses differently, and not every server can continue: a
        # second attempt begins afresh.
        for attempt in resumed fresh; do
            if [[ ! -s $part ]]; then attempt=fresh; fi
            status=0
            verified "$part" "$sum" || download "$url" "$part" || status=$?
            if verified "$part" "$sum"; then
                mv -f "$part" "$to/$set/$file.gz"
                return
            fi
            if ((status == 1)); then break; fi
            rm -f "$part"
            if [[ $attempt == fresh ]]; then
                note "$url: not the published file (checksum differs)"
                break
            fi
        done
    done
    return 1
}

from_mirrors() {
    command -v curl >/dev/null || die "curl is not installed: install it, or name a folder with the files (--from DIR)"
    local file
    for file in $image_files; do
        present "$1" "$file" || fetch_file "$1" "$file" || return 1
    done
}

# make_folder SET: the folder that the set goes into.
make_folder() {
    if ! mkdir -p "$to/$1" 2>/dev/null || [[ ! -w $to/$1 ]]; then
        die "cannot write to $to/$1: choose another place (--to DIR)"
    fi
}

fetch_images() {
    local set=$1
    if all_present "$set"; then
        echo "$set: already in $to/$set, verified"
        return
    fi
    make_folder "$set"
    if [[ -n $from ]]; then
        copy_set "$set" "$from" || die "$set was not copied: mend $from, or leave out --from"
        echo "$set: copied from $from to $to/$set, verified"
    elif [[ -n ${LATENT_DATA_FROM:-} ]] && copy_set "$set" "$LATENT_DATA_FROM"; then
        echo "$set: copied from $LATENT_DATA_FROM to $to/$set, verified"
    elif [[ $set == fashion-mnist && -z ${LATENT_FASHION_MNIST_MIRRORS:-} ]] && from_debian "$set"; then
        echo "$set: taken from Debian's package $debian_package to $to/$set, verified"
    elif from_mirrors "$set"; then
        echo "$set: downloaded to $to/$set, verified"
    else
        die "$set could not be had: try again later, or name a folder that holds the files (--from DIR)"
    fi
}

# copy_tool SET FOLDER...: installs what is not yet there of NVIDIA's tool from the folders.
copy_tool() {
    local set=$1 file folder source
    shift
    for file in $(set_files "$set"); do
        if present "$set" "$file"; then continue; fi
        source=""
        for folder in "$@"; do
            if [[ -f $folder/$file ]]; then source=$folder/$file; fi
        done
        if [[ -z $source ]]; then
            note "no $file in $*"
            return 1
        fi
        if ! verified "$source" "$(checksum "$set" "$file")"; then
            note "$source is not of $(package "$set") (checksum differs): damaged, or of another version"
            return 1
        fi
        install_copy "$source" "$to/$set/$file"
        # pip's wheels are unpacked without the right to execute.
        if [[ $file == nvdisasm ]]; then chmod +x "$to/$set/$file"; fi
    done
}

# from_pip SET: from the wheel of NVIDIA's Python package, which pip downloads and does not install.
from_pip() {
    local help="or name a folder that holds the files (--from DIR)"
    command -v python3 >/dev/null || die "python3 is not installed: install it with pip, $help"
    python3 -m pip --version >/dev/null 2>&1 ||
        die "python3 has no pip: install it (on Debian the package python3-pip; elsewhere python3 -m ensurepip), $help"
    # Beside the target: a temporary folder in memory may be too small.
    scratch=$(mktemp -d "$to/$1.incoming.XXXXXX") || die "cannot write to $to: choose another place (--to DIR)"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$scratch" \
        "$(package "$1")" || {
        note "pip could not download $(package "$1") for this machine"
        return 1
    }
    python3 -m zipfile -e "$scratch"/*.whl "$scratch/wheel" || die "cannot unpack $(package "$1") in $to: disk full?"
    copy_tool "$1" "$scratch"/wheel/nvidia/*/{lib,bin} "$scratch"/wheel/*.dist-info/licenses
}

fetch_tool() {
    local set=$1
    machine=$(uname -m)
    case $(uname -s)/$machine in
        Linux/x86_64 | Linux/aarch64) ;;
        *) die "$set is for Linux on x86_64 or aarch64, and this is $(uname -s) on $machine" ;;
    esac
    if all_present "$set"; then
        echo "$set: already in $to/$set, verified"
        return
    fi
    make_folder "$set"
    if [[ -n $from ]]; then
        copy_tool "$set" "$from" "$from/$set" || die "$set was not copied: mend $from, or leave out --from"
        echo "$set: copied from $from to $to/$set, verified"
    elif [[ -n ${LATENT_DATA_FROM:-} ]] && copy_tool "$set" "$LATENT_DATA_FROM" "$LATENT_DATA_FROM/$set"; then
        echo "$set: copied from $LATENT_DATA_FROM to $to/$set, verified"
    elif from_pip "$set"; then
        echo "$set: $(package "$set") downloaded to $to/$set, verified"
    else
        die "$set could not be had: try again later, or name a folder that holds the files (--from DIR)"
    fi
}

what=""
from=""
to=$here/data
while (($# > 0)); do
    case $1 in
        -h | --help)
            usage
            exit
            ;;
        --from | --to)
            [[ -n ${2:-} ]] || misused "$1 needs a folder"
            if [[ $1 == --from ]]; then from=$2; else to=$2; fi
            shift
            ;;
        -*) misused "unknown option $1" ;;
        *)
            [[ -z $what ]] || misused "one set at a time: $what or $1"
            what=$1
            ;;
    esac
    shift
done
if [[ -n $from && ! -d $from ]]; then die "--from $from: no such folder"; fi

case ${what:=mnist} in
    mnist | fashion-mnist) fetch_images "$what" ;;
    nvrtc | nvrtc12 | nvdisasm) fetch_tool "$what" ;;
    *) misused "unknown set $what: choose mnist, fashion-mnist, nvrtc, nvrtc12 or nvdisasm" ;;
esac

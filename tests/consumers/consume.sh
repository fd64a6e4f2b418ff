#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One step of a stranger's use of varve; CMakeLists.txt says which and in what order. The variables
# VARVE_SOURCE, VARVE_WORK, CMAKE, GENERATOR, CXX and LIBDIR come from there.
set -euo pipefail
: "${VARVE_SOURCE:?}" "${VARVE_WORK:?}" "${CMAKE:?}" "${GENERATOR:?}" "${CXX:?}" "${LIBDIR:?}"
example=${VARVE_EXAMPLE:-$VARVE_SOURCE/examples/readme.cpp}
mkdir -p "$VARVE_WORK"

fail() { echo "consume.sh: $*" >&2; exit 1; }

fresh() {  # fresh DIRECTORY: empty, and inside our work directory.
  case "$1" in "$VARVE_WORK"/*) rm -rf "$1"; mkdir -p "$1" ;; *) fail "not ours: $1" ;; esac
}

run_in_scratch() {  # run_in_scratch PROGRAM: in a new directory, since the example writes there.
  local scratch
  scratch=$(mktemp -d "$VARVE_WORK/run.XXXXXX")
  (cd "$scratch" && "$1") || fail "$1 has failed"
  rm -rf "$scratch"
}

run_built() {  # run_built DIRECTORY: hello always, the README's example where there is one.
  run_in_scratch "$1/hello"
  if [[ -f $example ]]; then run_in_scratch "$1/readme"; fi
}

install_build() {  # install_build BUILD PREFIX
  fresh "$2"
  "$CMAKE" --install "$1" --prefix "$2" >"$VARVE_WORK/install.log" || fail "cannot install $1"
}

build_and_install() {  # build_and_install static|shared PREFIX
  local shared=OFF
  if [[ $1 == shared ]]; then shared=ON; fi
  # Not fresh: nothing in it is looked at, and a second run is spared the compilation.
  "$CMAKE" -S "$VARVE_SOURCE" -B "$VARVE_WORK/build-$1" -G "$GENERATOR" \
    -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O1 \
    -DCMAKE_INSTALL_LIBDIR="$LIBDIR" -DBUILD_SHARED_LIBS=$shared \
    -DVARVE_BUILD_TESTS=OFF -DVARVE_BUILD_TOOLS=OFF -DVARVE_BUILD_EXAMPLES=OFF
  "$CMAKE" --build "$VARVE_WORK/build-$1" --parallel 2
  install_build "$VARVE_WORK/build-$1" "$2"
}

check_kind() {  # check_kind static|shared PREFIX: the library is what was asked for.
  local library=$2/$LIBDIR/libvarve
  case "$1" in
    static) [[ -f $library.a && ! -e $library.so ]] || fail "$2 is not a static installation" ;;
    shared) [[ -L $library.so && ! -e $library.a ]] || fail "$2 is not a shared installation" ;;
  esac
}

find_package() {  # find_package static|shared PREFIX
  check_kind "$1" "$2"
  local build=$VARVE_WORK/find_package-$1
  fresh "$build"
  "$CMAKE" -S "$VARVE_SOURCE/tests/consumers/find_package" -B "$build" -G "$GENERATOR" \
    -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_PREFIX_PATH="$2" -DCONSUMER_VERSION=0.1 \
    -DCONSUMER_EXAMPLE="$example"
  "$CMAKE" --build "$build" --parallel 2
  run_built "$build"
}

fetch_content() {
  local build=$VARVE_WORK/fetch_content
  "$CMAKE" -S "$VARVE_SOURCE/tests/consumers/fetch_content" -B "$build" -G "$GENERATOR" \
    -DCMAKE_CXX_COMPILER="$CXX" -DCONSUMER_VARVE_SOURCE="$VARVE_SOURCE" \
    -DCONSUMER_EXAMPLE="$example"
  "$CMAKE" --build "$build" --parallel 2
  run_built "$build"
}

pkg_config() {  # pkg_config static|shared PREFIX
  check_kind "$1" "$2"
  local build=$VARVE_WORK/pkg_config-$1 flags libraries program
  fresh "$build"
  local -x PKG_CONFIG_PATH=$2/$LIBDIR/pkgconfig
  flags=$(pkg-config --cflags varve)
  libraries=$(pkg-config --libs varve)
  for program in "$VARVE_SOURCE/tests/consumers/hello.cpp" "$example"; do
    [[ -f $program ]] || continue
    # shellcheck disable=SC2086  # They are lists of words.
    "$CXX" -std=c++20 $flags "$program" -o "$build/$(basename "$program" .cpp)" $libraries
  done
  LD_LIBRARY_PATH=$2/$LIBDIR run_built "$build"
}

refusals() {  # refusals PREFIX: what is not there is refused, and not silently left out.
  local log=$VARVE_WORK/refusals.log
  refused() {  # refused REASON OPTION...: the configuration fails, and says why.
    local reason=$1 build=$VARVE_WORK/refusals
    shift
    fresh "$build"
    if "$CMAKE" -S "$VARVE_SOURCE/tests/consumers/find_package" -B "$build" -G "$GENERATOR" \
        -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_PREFIX_PATH="$prefix" "$@" >"$log" 2>&1; then
      fail "accepted: $*"
    fi
    grep -q "$reason" "$log" || { cat "$log" >&2; fail "refused for another reason: $*"; }
  }
  local prefix=$1
  refused 'requested version "0.2"' -DCONSUMER_VERSION=0.2
  refused 'requested version "0.0"' -DCONSUMER_VERSION=0.0
  refused 'requested version "1.0"' -DCONSUMER_VERSION=1.0
  refused 'no component "not_a_component"' \
    -DCONSUMER_VERSION=0.1 -DCONSUMER_COMPONENTS=not_a_component
}

symbols() {  # symbols PREFIX: a shared library shows what its headers mark, and no more.
  "$VARVE_SOURCE/tests/consumers/check_symbols.sh" "$1/$LIBDIR/libvarve.so"
}

"$@"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_symbols.sh LIBRARY: fails when the shared library defines a dynamic symbol that is neither
# public API nor what a C++ compiler must share between libraries.
#
# Public are functions and data of namespace varve itself and of its classes; the namespaces below
# it (varve::directory, varve::segment, varve::internal, varve::tools) are ours alone. std:: comes
# with weak definitions of templates that any program may merge.
set -euo pipefail
library=$1

defined=$(nm --dynamic --defined-only --demangle "$library" | cut -d' ' -f3-)
[[ -n $defined ]] || { echo "$library defines no dynamic symbol at all" >&2; exit 1; }
if ! grep -q '^varve::version()' <<<"$defined"; then
  echo "$library does not show varve::version()" >&2
  exit 1
fi

std='(std|__gnu_cxx)::'
allowed="^(varve::|$std|operator (new|delete)|[a-z_: ]+ $std"
allowed+="|(typeinfo( name)?|vtable|VTT|guard variable) for (varve::|$std))"
ours='varve::(directory|segment|internal|tools)::|varve::\(anonymous namespace\)'
# A name such as std::vector<varve::segment::Entry>::push_back is ours as well, and must be hidden;
# parameters do not count: a public function may take a forward-declared internal type.
strangers=$(grep -vE "$allowed" <<<"$defined" || true)
internals=$(sed -E 's/\(.*//' <<<"$defined" | grep -E "$ours" || true)
if [[ -n $strangers || -n $internals ]]; then
  echo "$library shows symbols that are not public API:" >&2
  printf '%s\n' "$strangers" "$internals" | sed '/^$/d; s/^/  /' | head -40 >&2
  exit 1
fi
echo "$(grep -c '^varve::' <<<"$defined") public functions, $(wc -l <<<"$defined") symbols"

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tests/support/call_history.hpp"

namespace varve::test {

// Whether each key of `history` behaved as one register that starts out absent: there is an order
// of the calls, one at a time, that explains every answer and in which a call that returned before
// another one began comes first. Returns why not, for the key at which it shows first; empty: it
// is linearizable.
//
// Method: linearizability is local, so each key is searched alone. The search is Wing and Gong's in
// Lowe's just-in-time form: walk through the moments and keep every state that the register may be
// in, each with the set of running calls that it has already let happen; when a call returns, a
// state in which it has not happened lets running writes happen until it has, or dies. States that
// were met before are not searched again, and a read happens as soon as it can, which loses
// nothing. Cost: per call, the running calls of that key to the power of its running writes.
//
// Writes that never returned: a put that nobody read is left out, one that was read happened
// before that read returned. All erases that never returned are alike, so a state only counts how
// many it used, and of equal states the one that used fewer is kept.
//
// Requires: values are unique per key and put. Errors: std::runtime_error when more than 64 calls
// on one key run at the same time.
[[nodiscard]] std::string linearizability_violation(const CallHistory& history);

}  // namespace varve::test

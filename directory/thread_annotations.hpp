// SPDX-License-Identifier: Apache-2.0
#pragma once

// What clang's -Wthread-safety checks: which mutex guards a member, and which one a function takes
// or needs. Other compilers see nothing. Standard locks carry no such marks, so guarded members are
// reached under a MutexLock (mutex.hpp).

#if defined(__clang__)
#define VARVE_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define VARVE_THREAD_ANNOTATION(x)
#endif

#define VARVE_CAPABILITY(name) VARVE_THREAD_ANNOTATION(capability(name))
#define VARVE_SCOPED_CAPABILITY VARVE_THREAD_ANNOTATION(scoped_lockable)
#define VARVE_GUARDED_BY(mutex) VARVE_THREAD_ANNOTATION(guarded_by(mutex))
#define VARVE_PT_GUARDED_BY(mutex) VARVE_THREAD_ANNOTATION(pt_guarded_by(mutex))
#define VARVE_REQUIRES(...) VARVE_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define VARVE_EXCLUDES(...) VARVE_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define VARVE_ACQUIRE(...) VARVE_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define VARVE_RELEASE(...) VARVE_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define VARVE_TRY_ACQUIRE(...) VARVE_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define VARVE_ASSERT_HELD(...) VARVE_THREAD_ANNOTATION(assert_capability(__VA_ARGS__))
#define VARVE_RETURN_CAPABILITY(x) VARVE_THREAD_ANNOTATION(lock_returned(x))
#define VARVE_NO_THREAD_SAFETY_ANALYSIS VARVE_THREAD_ANNOTATION(no_thread_safety_analysis)

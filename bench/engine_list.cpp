// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "bench/engine.hpp"

namespace varve::bench {

std::vector<EngineKind> available_engines() {
  std::vector<EngineKind> engines = {null_engine(), varve_engine()};
  for (EngineKind& kind : varve_mode_engines()) engines.push_back(std::move(kind));
#ifdef VARVE_BENCH_LMDB
  engines.push_back(lmdb_engine());
#endif
#ifdef VARVE_BENCH_LEVELDB
  engines.push_back(leveldb_engine());
#endif
#ifdef VARVE_BENCH_ROCKSDB
  for (EngineKind& kind : rocksdb_engines()) engines.push_back(std::move(kind));
#endif
#ifdef VARVE_BENCH_WIREDTIGER
  engines.push_back(wiredtiger_engine());
#endif
  return engines;
}

}  // namespace varve::bench

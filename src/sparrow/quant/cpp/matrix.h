// A matrix as it was laid out to be multiplied, and rows as it wants them.
//
// Sums are exact, or are made in one fixed order: what a row gives does not depend on
// how many others pass with it.

#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "lanes.h"

// How the numbers of a matrix lie: panel by panel; or, for WORDS, row by row.
enum Kind : int64_t { FLOATS, BYTES, WORDS };

struct Matrix {
  const char* numbers;  // floats or codes
  const void* scale;    // float [outputs], bfloat16 [outputs · groups], or none
  const int8_t* zero;   // [outputs · groups], or none for all zeros
  int64_t outputs, width;
  int64_t group;  // codes of four bits that share a scale; 0: they are no such codes
  int64_t most;   // the largest whole number in a row: no sum leaves 32 bits
  Kind kind;

  int64_t groups() const { return group ? width / group : 1; }
  int64_t parts() const { return most > INT8_MAX ? 2 : 1; }  // bytes of a whole number
};

constexpr float TINY = 1e-30f;  // a row of zeros has steps, too

inline void ask_for(const void* from) {
  _mm_prefetch(static_cast<const char*>(from), _MM_HINT_T0);
}

// Call `run<count>()`.
template <int MOST, class Run>
inline void with_count(int64_t count, const Run& run) {
  if constexpr (MOST > 0) {
    if (count == MOST)
      run.template operator()<MOST>();
    else
      with_count<MOST - 1>(count, run);
  }
}

// What a tile asks memory for, while it computes: its share of the next panel. So the
// memory is never idle, and nobody waits for it.
struct Ahead {
  const char* from;
  int64_t step;
  void ask() {
    _mm_prefetch(from, _MM_HINT_T1);
    from += step;
  }
};

// Call `tile<COUNT>(first output, first row, panel, ahead)` for all of a matrix; a
// tile has at most MOST rows. All threads of a parallel region call it together.
template <int MOST, class Tile>
inline void for_tiles(const Matrix& m, int64_t rows, int64_t panel_bytes, int64_t steps,
                      const Tile& tile) {
  const int64_t tiles = (rows + MOST - 1) / MOST;
#pragma omp for schedule(static)
  for (int64_t first = 0; first < m.outputs; first += PANEL) {
    const char* panel = m.numbers + first / PANEL * panel_bytes;
    for (int64_t t = 0, row = 0; t < tiles; t++) {
      const int64_t count = rows / tiles + (t < rows % tiles);
      const Ahead ahead{panel + panel_bytes + t * (panel_bytes / tiles),
                        panel_bytes / steps / tiles};
      with_count<MOST>(count, [&]<int COUNT>() {
        tile.template operator()<COUNT>(first, row, panel, ahead);
      });
      row += count;
    }
  }
}

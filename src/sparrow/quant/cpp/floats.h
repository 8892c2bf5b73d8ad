// Multiply rows by a matrix of floating point numbers.

#pragma once

#include "matrix.h"
#include "panel_tile.h"

inline void multiply_floats(const Matrix& m, const float* x, int64_t rows, float* out,
                            bool adds) {
  for_tiles<ROWS>(
      m, rows, m.width * PANEL * sizeof(float), m.width,
      [&]<int COUNT>(int64_t first, int64_t row, const char* panel, Ahead ahead) {
        panel_tile<COUNT>(x + row * m.width, m.width,
                          reinterpret_cast<const float*>(panel), m.width,
                          out + row * m.outputs + first, m.outputs, adds,
                          [&] { ahead.ask(); });
      });
}

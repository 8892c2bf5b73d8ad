// Multiply rows by a matrix of floating point numbers.

#pragma once

#include "matrix.h"

template <int COUNT>
inline void float_tile(const float* x, int64_t width, const float* panel, Ahead ahead,
                       float* out, int64_t outputs, bool adds) {
  Lanes sum[COUNT][2];
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++) sum[row][0] = sum[row][1] = Lanes{};
  for (int64_t k = 0; k < width; k++, panel += PANEL) {
    ahead.ask();
    const Lanes left = lanes(panel), right = lanes(panel + LANES);
#pragma GCC unroll 16
    for (int row = 0; row < COUNT; row++) {
      const float each = x[row * width + k];
      sum[row][0] += each * left;
      sum[row][1] += each * right;
    }
  }
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; row++) {
    Lanes &left = lanes(out + row * outputs), &right = lanes(out + row * outputs + LANES);
    left = adds ? left + sum[row][0] : sum[row][0];
    right = adds ? right + sum[row][1] : sum[row][1];
  }
}

inline void multiply_floats(const Matrix& m, const float* x, int64_t rows, float* out,
                            bool adds) {
  for_tiles<ROWS>(
      m, rows, m.width * PANEL * sizeof(float), m.width,
      [&]<int COUNT>(int64_t first, int64_t row, const char* panel, Ahead ahead) {
        float_tile<COUNT>(x + row * m.width, m.width,
                          reinterpret_cast<const float*>(panel), ahead,
                          out + row * m.outputs + first, m.outputs, adds);
      });
}
